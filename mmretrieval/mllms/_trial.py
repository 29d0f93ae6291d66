"""Whether a model may be used the quick way, found out by trying it on two drawn pictures when it is loaded."""

from __future__ import annotations

import logging

import numpy as np
import torch
from PIL import Image

from mmretrieval.errors import InvalidData
from mmretrieval.mllms._chat import Chat
from mmretrieval.mllms._head import Head
from mmretrieval.mllms._loaded import Loaded
from mmretrieval.mllms._pictures import Pictures
from mmretrieval.mllms._rows import Row, Rows

log = logging.getLogger(__name__)

_SIDE = 96  # pixels; a multiple of all usual patch sizes


def choose(loaded: Loaded, chat: Chat, head: Head, most_bytes: int) -> Rows:
    """How prompts become rows: with features of pictures kept, where that changes nothing, else whole.

    Costs two or three small forward passes; also tells `head` whether it may project by itself. Raises InvalidData
    when the model cannot be shown two pictures at all.
    """
    pictures = [_drawn(3), _drawn(7)]
    text = chat.render(["picture 1:", pictures[0], "picture 2:", pictures[1], "which one?"], answer_now=True)
    whole = Rows(loaded, chat.image_token, None)
    (row,) = whole.make([(text, pictures)])
    if not isinstance(row, Row):
        raise InvalidData(f"{loaded.shown} cannot be shown two pictures ({row}): use a model for several pictures")
    head.check(whole.batch([row]))
    if not loaded.sees:
        log.info("%s takes no features of pictures: each is computed anew for every question", loaded.shown)
        return whole
    quick = Rows(loaded, chat.image_token, Pictures(loaded, chat.image_token, most_bytes))
    why = _differs(whole, quick, row, head, text, pictures)
    if why:
        log.info("%s: each picture is computed anew for every question, since %s", loaded.shown, why)
        return whole
    return quick


def _differs(whole: Rows, quick: Rows, row: Row, head: Head, text: str, pictures: list[Image.Image]) -> str:
    """Why the quick way is not the same as the whole one; empty when it is."""
    (ours,) = quick.make([(text, pictures)])
    if not isinstance(ours, Row):
        return f"that fails ({type(ours).__name__}: {ours})"
    if ours.ids != row.ids:
        return "its processor writes other tokens for a picture among others"
    probes = [[(0, token) for token in range(64)]]
    try:
        slow, fast = (head.log_probs(rows.batch([one]), probes)[0] for rows, one in ((whole, row), (quick, ours)))
    except Exception as error:  # noqa: BLE001 - models are foreign code, and the whole way remains
        return f"that fails ({type(error).__name__}: {error})"
    near = 1e-3 if quick.dtype == torch.float32 else 0.25
    return "" if np.allclose(slow, fast, atol=near) else "that changes what it says"


def _drawn(step: int) -> Image.Image:
    y, x = np.mgrid[0:_SIDE, 0:_SIDE]
    return Image.fromarray(np.stack([x * step % 256, y * step % 256, (x + y) % 256], axis=-1).astype(np.uint8))
