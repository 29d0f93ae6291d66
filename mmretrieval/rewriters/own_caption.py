"""A query that is a picture gets its own caption: the query's side of F4-ITS.

    q = unit((1 - share) v + share c)

with the picture v and its caption c, each seen from the mean of its kind, as in every query that joins pictures and
words. A picture of the collection has its stored caption, which costs nothing; for others a language model is asked,
where there is one. Without a caption the query is the picture alone, and the step says why.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from mmretrieval import prompts
from mmretrieval.asks import Ask, Failed, Generate, Reply, Text
from mmretrieval.caption_text import caption_of, is_refusal
from mmretrieval.errors import UsageError
from mmretrieval.reference import reference_of
from mmretrieval.stages import Rewriter, Rewritten
from mmretrieval.types import Query

if TYPE_CHECKING:
    from mmretrieval.stages import Collection

SHARE = 0.3  # as the paper's text weight
_SHOWN = 200  # characters of a caption in a note


class OwnCaption(Rewriter):
    """A query that is nothing but a picture is searched by picture and caption together."""

    paper = "F4-ITS, arXiv 2508.17037"
    needs = frozenset({Generate})

    def __init__(self, collection: Collection, *, share: float = SHARE, ask: bool = True) -> None:
        """`share` is that of the caption, from 0 to 1; with `ask` False only stored captions are used."""
        if not 0 <= share <= 1:
            raise UsageError(f"own_caption:share is {share}: it is a share, so give it from 0 to 1")
        self.collection, self.share = collection, share
        if not ask:
            self.needs = frozenset()

    def rewrite(self, query: Query) -> Generator[list[Ask], list[Reply], Rewritten]:
        """The query with its caption as target; raises as `reference_of` does."""
        if not query.has_image or query.text.strip() or query.parts or query.target.strip() or not self.share:
            return Rewritten(query)
        stored = self.collection.features(query.image_id).get("caption", "") if query.image_id is not None else ""
        if stored:
            return self._with(query, stored)
        picture = reference_of(query, self.collection) if self.needs else None
        if picture is None:
            why = "a vector, which no model can see" if self.needs else "none stored, and no model to ask"
            return Rewritten(query, note=f"the picture has no caption: {why}")
        [reply] = yield [prompts.caption(picture)]
        if isinstance(reply, Failed):
            return Rewritten(query, note="the picture alone")  # the pipeline tells of the failed ask
        text = reply.text if isinstance(reply, Text) else ""
        caption = caption_of(text)
        if is_refusal(text) or not any(sign.isalpha() for sign in caption):
            return Rewritten(query, {"failed": 1}, "the model said nothing of the picture, so it stands alone")
        return replace(self._with(query, caption), parsed={"ok": 1})

    def _with(self, query: Query, caption: str) -> Rewritten:
        weights = {**query.weights, "target": self.share}
        return Rewritten(replace(query, target=caption, weights=weights), note=f"caption: {caption[:_SHOWN]}")
