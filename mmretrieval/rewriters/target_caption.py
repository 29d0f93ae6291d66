"""A picture plus a change: a model that sees both describes the picture that is sought.

SQUARE's first stage. With v the picture, t the words of the change, T the description and E the encoder of words:

    q = unit((1 - beta) unit((1 - alpha) v + alpha t) + beta E(T))

where each vector is a unit vector, and v, t and E(T) are seen from the mean of their kind, as in every query that joins
words and pictures. A description that is longer than the encoder reads is split into sentences, whose vectors are
averaged. Without a description (the model failed, refused or said nothing) beta is 0, and the step says why.

The paper's alpha and beta are not known to us. WeiMoCIR, by the same authors, has alpha 0.8 and beta 0.1 for CLIP L, H
and G, of vectors that are not centred and a beta that weighs captions of the gallery. Ours are alpha 0.5, the equal
weights of every composed query, and beta 0.5, about the best on a drawn collection: assets/reports/target-captions.md.
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
from mmretrieval.types import TARGET_SHARE, Query

if TYPE_CHECKING:
    from mmretrieval.stages import Collection

_SHOWN = 200  # characters of a description in a note


class TargetCaption(Rewriter):
    """A language model sees a picture and the change to it, and describes the picture that is sought.

    One call for each query that has a picture and words; other queries stay as they are. The description takes the
    share `beta` of the query's vector, and joins its words where captions are searched. With `alpha` the words of the
    change weigh alpha and the picture 1 - alpha, unless the query brings weights of its own.
    """

    paper = "SQUARE, arXiv 2509.26330"
    needs = frozenset({Generate})

    def __init__(self, collection: Collection, *, beta: float = TARGET_SHARE, alpha: float | None = None) -> None:
        """Raises UsageError for an `alpha` or `beta` outside 0 to 1. With beta 0 it needs no model."""
        for name, value in (("beta", beta), ("alpha", 0.0 if alpha is None else alpha)):
            if not 0 <= value <= 1:
                raise UsageError(f"target_caption:{name} is {value}: it is a share, so give it from 0 to 1")
        self.collection = collection
        self.beta, self.alpha = beta, alpha
        if not beta:
            self.needs = frozenset()

    def calls(self, candidates: int) -> int:  # noqa: ARG002 (it looks at none)
        """As in `Stage`."""
        return 1 if self.beta else 0

    def rewrite(self, query: Query) -> Generator[list[Ask], list[Reply], Rewritten]:
        """The query with its target, or without one when there is no description.

        Raises NotFound or UnreadableImage for a picture that cannot be had.
        """
        if not query.is_composed:
            return Rewritten(query, note="left as it was: it is no picture plus a change")
        query = self._weighted(query)
        if not self.beta:
            return Rewritten(query)
        picture = reference_of(query, self.collection)
        if picture is None:
            return Rewritten(query, {"failed": 1}, "its picture is only a vector, which no model can see; beta is 0")
        [reply] = yield [prompts.target(picture, query.text)]
        return self._with_target(query, reply)

    def _weighted(self, query: Query) -> Query:
        if self.alpha is None or query.weights.keys() & {"text", "image"}:
            return query
        return replace(query, weights={**query.weights, "text": self.alpha, "image": 1 - self.alpha})

    def _with_target(self, query: Query, reply: Reply) -> Rewritten:
        if isinstance(reply, Failed):
            return Rewritten(query, note="beta is 0")  # the pipeline tells of the failed ask
        text = reply.text if isinstance(reply, Text) else ""
        target = caption_of(text)
        if is_refusal(text):
            return Rewritten(query, {"failed": 1}, f"the model refused ({target[:_SHOWN]!r}); beta is 0")
        if not any(sign.isalpha() for sign in target):
            return Rewritten(query, {"failed": 1}, "the model described nothing; beta is 0")
        weights = {**query.weights, "target": self.beta}
        note = f"target: {target[:_SHOWN]}"
        parsed = {"partial" if isinstance(reply, Text) and reply.cut else "ok": 1}
        return Rewritten(replace(query, target=target, weights=weights), parsed, note)
