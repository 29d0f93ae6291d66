"""How much each part of a search counts: words against the picture, looks against captions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmretrieval.web.form import Fuse, SearchForm
from mmretrieval.web.page.section import Section

if TYPE_CHECKING:
    from mmretrieval.collection import Collection

EVEN = 0.5


def balance_section(collection: Collection) -> Section:
    """Sliders that act while they are moved; the one for captions stands only where captions have vectors."""
    import gradio as gr

    ends = {"minimum": 0.0, "maximum": 1.0, "step": 0.05, "buttons": [], "elem_classes": "mm-ends"}
    picture = gr.Slider(value=EVEN, label="Words ↔ picture", info="Counts where a search has both.", **ends)
    has_captions = "caption" in collection.channels
    captions = gr.Slider(value=0.0, label="Looks ↔ captions", visible=has_captions, **ends)
    inputs = [picture, captions]
    return Section(inputs, _read, _write, acts_at_once=inputs)


def _read(picture: float, captions: float) -> dict[str, Any]:
    return {
        "weights": weights_of(picture),
        "fuse": Fuse(image=round(1 - captions, 3), caption=round(captions, 3)) if captions else None,
    }


def _write(form: SearchForm) -> tuple[float, float]:
    fuse = form.fuse
    captions = 0.0 if fuse is None else fuse.caption / ((fuse.image + fuse.caption) or 1.0)
    return picture_share(form), captions


def weights_of(picture: float) -> dict[str, float]:
    """The weights for a picture's share; none where both count alike, as they do without any."""
    return {} if picture == EVEN else {"text": round(1 - picture, 3), "image": round(picture, 3)}


def picture_share(form: SearchForm) -> float:
    """What share of words and picture the picture has."""
    text, image = form.weights.get("text", 1.0), form.weights.get("image", 1.0)
    return image / (text + image) if text >= 0 and image >= 0 and text + image else EVEN
