"""The best candidates scored once more, by another encoder than the one of the index. No language model.

Evidence: INQUIRE's leaderboard (NeurIPS 2024), where SigLIP SO400M brings the list of CLIP ViT-H/14 from 44.6 to 51.5
AP, more than most language models do; as a cascade it is that of "Pretrained Transformers for Text Ranking" (2021).
Runs untrained, on any encoder that an index can be made with: a better one than could be run on the whole collection.

What a query has several parts of (words, a picture, a described target, further parts) is scored part by part: each
part's cosines are standardised among the candidates, so that no kind of part outweighs another by its scale, and
joined by the query's weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from mmretrieval.errors import UsageError
from mmretrieval.ordering import z_scores
from mmretrieval.reference import opened, reference_of
from mmretrieval.remembering import Remembering
from mmretrieval.rerankers._blend import ALPHA, Join, blended, checked_alpha
from mmretrieval.rerankers._pictures import pictures
from mmretrieval.stages import Candidate, Collection, Reranked, Reranker
from mmretrieval.types import Encoded, Query

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mmretrieval.protocols import Encoder

    Cosines = NDArray[np.float64]

NOTHING_TO_ENCODE = "the query has neither words nor a picture that another encoder could read"


class SecondEncoder(Reranker):
    """Orders the candidates by another encoder's cosines with the query, joined with the order before.

    Needs no language model. Encodes each candidate's picture once, about the time that indexing it takes, and again
    only when a thousand others came between.
    """

    paper: ClassVar[str] = "INQUIRE, arXiv 2411.02537"

    def __init__(
        self,
        open_encoder: Callable[[str], Encoder],
        model: str = "default",
        depth: int = 100,
        alpha: float = ALPHA,
        join: Join = "z",
    ) -> None:
        """`model` is an encoder's name, as in --encoder; it is opened when the first query needs it."""
        if not model.strip():
            raise UsageError("second_encoder needs a model: name an encoder, as in second_encoder:model=default")
        self._open, self.model = open_encoder, model
        self.depth, self.alpha, self.join = depth, checked_alpha(alpha), join
        self._opened: Encoder | None = None
        self._opening = Lock()

    def rerank(self, query: Query, candidates: Sequence[Candidate]) -> Reranked:
        encoder = self._encoder()
        parts = _rows(query, candidates[0].collection, encoder)
        if not parts:
            return Reranked([candidate.hit for candidate in candidates], note=NOTHING_TO_ENCODE)
        shown = pictures(candidates)
        rows = encoder.encode_images([shown.image(place) for place in shown.seen]).astype(np.float64)
        scores = joined([(weight, rows @ row.astype(np.float64)) for weight, row in parts])
        told = dict(zip(shown.seen, scores, strict=True))
        said = "cosine" if len(parts) == 1 else "joined cosines"
        return blended(
            self.name,
            candidates,
            [told.get(place) for place in range(len(candidates))],
            alpha=self.alpha,
            join=self.join,
            whys=[f"{said} {told[p]:.3f} by {self.model}" if p in told else "" for p in range(len(candidates))],
            details=[{said.replace(" ", "_"): round(told[p], 6)} if p in told else {} for p in range(len(candidates))],
            note=shown.note,
        )

    def _encoder(self) -> Encoder:
        with self._opening:
            if self._opened is None:
                self._opened = Remembering(self._open(self.model))
            return self._opened


def joined(parts: Sequence[tuple[float, Cosines]]) -> list[float]:
    """One number a candidate: the cosines themselves of a single part, else the weighted sum of standardised ones."""
    if len(parts) == 1:
        weight, cosines = parts[0]
        return [float(cosine) * (1 if weight > 0 else -1) for cosine in cosines]
    terms = [[weight * z for z in z_scores([float(cosine) for cosine in cosines])] for weight, cosines in parts]
    return [sum(column) for column in zip(*terms, strict=True)]


def _rows(query: Query, collection: Collection, encoder: Encoder) -> list[tuple[float, NDArray[np.float32]]]:
    """The weight and the unit row (dim,) of each part of the query that this encoder can read."""
    share = query.target_share
    texts = [(query.weights.get("text", 1.0) * (1 - share), query.text), (share, query.target)]
    texts += [(part.weight * (1 - share) if part.weight > 0 else part.weight, part.text) for part in query.parts]
    said = [(weight, text) for weight, text in texts if weight and text.strip()]
    reference = reference_of(query, collection)
    shown = [(query.weights.get("image", 1.0) * (1 - share), reference)]
    for part in query.parts:
        if part.image_id is not None:
            shown.append((part.weight, collection.open_image(part.image_id)))
        elif part.image is not None and not isinstance(part.image, Encoded):
            shown.append((part.weight, opened(query, part.image)))
    seen = [(weight, image) for weight, image in shown if weight and image is not None]
    rows = list(encoder.encode_texts([text for _, text in said])) if said else []
    rows += list(encoder.encode_images([image for _, image in seen])) if seen else []
    return list(zip([weight for weight, _ in (*said, *seen)], rows, strict=True))
