"""The candidates' pictures, opened once and no larger than a model looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmretrieval.errors import NotFound, UnreadableImage
from mmretrieval.stages import Candidate

if TYPE_CHECKING:
    from PIL.Image import Image

LONG_SIDE = 672  # pixels; a model that looks closer is rare, and many candidates are in memory at once


@dataclass(frozen=True, slots=True)
class Pictures:
    """One entry a candidate, None where the picture cannot be had; `note` says how many and why, empty if none."""

    images: tuple[Image | None, ...]
    note: str = ""

    @property
    def seen(self) -> list[int]:
        """The places whose picture is there, rising."""
        return [place for place, image in enumerate(self.images) if image is not None]

    def image(self, place: int) -> Image:
        """The picture of a place that is `seen`."""
        image = self.images[place]
        assert image is not None, "only places that were seen are asked about"
        return image


def pictures(candidates: Sequence[Candidate], long_side: int = LONG_SIDE) -> Pictures:
    """Their pictures, none longer than `long_side`.

    A picture that is gone or damaged costs that candidate the model's opinion, not the whole search; when all of them
    are, the first error is raised, since then nothing can be judged.
    """
    from mmretrieval.images import thumbnail

    images: list[Image | None] = []
    errors: list[NotFound | UnreadableImage] = []
    for candidate in candidates:
        try:
            images.append(thumbnail(candidate.image, long_side))
        except (NotFound, UnreadableImage) as error:
            images.append(None)
            errors.append(error)
    if errors and len(errors) == len(candidates):
        raise errors[0]
    return Pictures(tuple(images), f"{len(errors)} pictures could not be shown: {errors[0]}" if errors else "")
