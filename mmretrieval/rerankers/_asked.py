"""What a query asks of every candidate, as a reranker can say it to a language model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmretrieval.reference import reference_of
from mmretrieval.types import Query

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmretrieval.stages import Collection

NOTHING_TO_ASK = (
    "the query has neither words nor a picture that could be shown to a model; examples alone tell it nothing, so give "
    "words beside them"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """`words` say what should be seen. For a picture plus a change, `reference` is the picture, `change` the change.

    Then the words are the description of the target, if there is one. A picture alone has a reference and no change,
    and its own caption as words, if it has one. A reference that is only a vector cannot be shown, so it is None.
    `avoided` is what should not be seen.
    """

    words: str = ""
    change: str = ""
    reference: Image | None = None
    avoided: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """What should be seen, in words alone: the words, else the change; empty for a picture without a caption."""
        return self.words or self.change


def asked(query: Query, collection: Collection) -> Asked:
    """The query as a question; opens its picture. Raises NotFound or UnreadableImage where that cannot be had."""
    plan = query.plan
    parts = [part for part in query.parts if part.text.strip()]
    further = [part.text.strip() for part in parts if part.weight > 0]
    avoided = [*(part.text.strip() for part in parts if part.weight < 0), *(plan.avoided if plan else ())]
    text, target = query.text.strip(), query.target.strip()
    if query.has_image and text:
        words, change = target, _joined(text, *further)
    else:
        own = "" if query.image_id is None else collection.record(query.image_id).caption.strip()
        words, change = _joined(text or target or own, *further), ""
    return Asked(words, change, reference_of(query, collection), tuple(dict.fromkeys(avoided)))


def _joined(*texts: str) -> str:
    return ", ".join(text for text in texts if text)
