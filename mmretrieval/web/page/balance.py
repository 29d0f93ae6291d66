"""How much each part of a search counts: words against the picture, looks against captions, how they are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmretrieval.web.form import Fuse, SearchForm
from mmretrieval.web.page.section import Section

if TYPE_CHECKING:
    from mmretrieval.collection import Collection

EVEN = 0.5
_JOINS = [("Added", "sum"), ("Halfway on the sphere", "slerp"), ("Both must fit", "product")]
_WORDS = [("No", ""), ("By ranks", "rrf"), ("By scores", "blend")]


def balance_section(collection: Collection) -> Section:
    """Sliders that act while they are moved; the one for captions stands only where captions have vectors."""
    import gradio as gr

    picture = gr.Slider(
        0.0, 1.0, EVEN, step=0.05, label="Words ↔ picture", info="Counts when there are both.", buttons=[]
    )
    captions = gr.Slider(
        0.0, 1.0, 0.0, step=0.05, label="Looks ↔ captions", info="Also compares with what is written of each picture.",
        visible="caption" in collection.channels, buttons=[],
    )  # fmt: skip
    hybrid = gr.Radio(_WORDS, value="", label="Look the words up in captions, too")
    compose = gr.Radio(_JOINS, value="sum", label="Words and picture are")
    inputs = [picture, captions, hybrid, compose]
    return Section(inputs, _read, _write, acts_at_once=inputs)


def _read(picture: float, captions: float, hybrid: str, compose: str) -> dict[str, Any]:
    return {
        "weights": weights_of(picture),
        "fuse": Fuse(image=round(1 - captions, 3), caption=round(captions, 3)) if captions else None,
        "hybrid": hybrid or None,
        "compose": compose or "sum",
    }


def _write(form: SearchForm) -> tuple[float, float, str, str]:
    fuse = form.fuse
    captions = 0.0 if fuse is None else fuse.caption / ((fuse.image + fuse.caption) or 1.0)
    return picture_share(form), captions, form.hybrid or "", form.compose


def weights_of(picture: float) -> dict[str, float]:
    """The weights for a picture's share; none where both count alike, as they do without any."""
    return {} if picture == EVEN else {"text": round(1 - picture, 3), "image": round(picture, 3)}


def picture_share(form: SearchForm) -> float:
    """What share of words and picture the picture has."""
    text, image = form.weights.get("text", 1.0), form.weights.get("image", 1.0)
    return image / (text + image) if text >= 0 and image >= 0 and text + image else EVEN
