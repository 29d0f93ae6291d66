"""Any vision-language model of the transformers library, in this process."""

from __future__ import annotations

import gc
import logging
from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Lock
from time import monotonic
from typing import Any

from mmretrieval.asks import MLLM, TIME_IS_UP, Ask, Attend, Failed, Generate, Reply, ScoreChoices
from mmretrieval.errors import UsageError

log = logging.getLogger(__name__)

TOGETHER = 256  # asks prepared at once, so that the pictures of a long list do not all wait in memory


class Transformers(MLLM):
    """A model of the hub (ORGANISATION/NAME) or in a folder, loaded by the library's Auto classes.

    Words and pictures reach it in the order of an ask's parts, through its own chat template; marks of a conversation
    inside the words are taken out. Batches are padded on the left, and an answer does not depend on what else is in
    its batch beyond rounding. Choices are scored by one forward pass in float32, text is decoded greedily; a `schema`
    is not enforced, so the prompt has to ask for its shape. Thoughts are switched off where the template can do that,
    and never part of a text. Safe to use from many threads; one computes at a time.
    """

    def __init__(
        self,
        name: str,
        *,
        device: str | None = None,
        dtype: str = "auto",
        compact: bool | None = None,
        thinking: bool = False,
        max_pixels: int = 1_000_000,
        max_prompt_pixels: int = 4_000_000,
        batch_tokens: int = 16_384,
        keep_mb: int = 512,
        called: str = "",
        knows: str = "",
    ) -> None:
        """Loads the model, downloading it first where needed; `device` None takes the best there is.

        `compact` None means below a billion parameters. A picture is scaled down to `max_pixels`, and the pictures of
        one ask together to `max_prompt_pixels`. `batch_tokens` bounds a batch, padding included; it halves when memory
        runs out. `keep_mb` is the memory for features of pictures. `thinking` lets the model think before free text.
        `called` is the name it goes by, `knows` what its weights have seen where that must be said.

        Raises UsageError for a name nobody knows or a setting out of range, NotFound for a folder that is not there,
        InvalidData for one that holds no such model, MissingPrerequisite when something must be downloaded first.
        """
        numbers = {"max_pixels": max_pixels, "max_prompt_pixels": max_prompt_pixels, "batch_tokens": batch_tokens}
        for key, number in numbers.items():
            if number < 1:
                raise UsageError(f"{key} is {number}, and it must be at least 1")
        if keep_mb < 0:
            raise UsageError(f"keep_mb is {keep_mb}, and it must not be negative")
        from mmretrieval.devices import pick_device
        from mmretrieval.mllms import _loaded, _model_folder, _serving

        self.spec, self.knows = called or name, knows
        self.max_pixels, self.max_prompt_pixels, self.thinking = max_pixels, max_prompt_pixels, thinking
        self.folder = _model_folder.find(name)
        self.compact = self.folder.parameters < _loaded.SMALL if compact is None else compact
        loaded = _loaded.load(self.folder, pick_device(device), dtype)
        self.dtype, self.device = str(loaded.dtype).removeprefix("torch."), str(loaded.device)
        self._lock = Lock()
        self._serving: _serving.Serving | None = _serving.Serving(
            loaded, self._most_pixels, thinking=thinking, batch_tokens=batch_tokens, keep_bytes=keep_mb * 2**20
        )
        self.reuses_pictures = self._serving.reuses_pictures
        self.answers = frozenset({Generate, ScoreChoices, Attend} if self.reuses_pictures else {Generate, ScoreChoices})
        log.info("%s: %s parameters, %s on %s", self.spec, f"{self.folder.parameters:,}", self.dtype, self.device)

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """Hash of weights, configuration, tokenizer and template, and the settings that shape an answer.

        No name and no path is part of it: a folder that is moved, or fetched another way, is still the same model.
        """
        return {
            "mllm": self.name,
            "model": self.folder.digest(),
            "dtype": self.dtype,
            "thinking": self.thinking,
            "max_pixels": self.max_pixels,
            "max_prompt_pixels": self.max_prompt_pixels,
        }

    def answer(self, asks: Sequence[Ask]) -> list[Reply]:
        """As in `MLLM`; at `deadline` the batch under way ends, and none begins after it.

        Tokens count everything that went through the model, pictures included, and the answer.
        """
        deadline = self.deadline
        replies: list[Reply] = []
        with self._lock:
            for at in range(0, len(asks), TOGETHER):
                part = asks[at : at + TOGETHER]
                if self._serving is None:
                    replies += [Failed(f"the model '{self.spec}' is closed") for _ in part]
                elif monotonic() >= deadline:
                    replies += [Failed(TIME_IS_UP, asked=False) for _ in part]
                else:
                    replies += self._serving.answer(part, deadline)
        return replies

    def close(self) -> None:
        """Frees the memory of the model and of the pictures it has seen."""
        with self._lock:
            if self._serving is None:
                return
            self._serving = None
            gc.collect()
            if self.device.startswith("cuda"):
                import torch

                torch.cuda.empty_cache()

    def _most_pixels(self, pictures: int) -> int:
        """How large each of so many pictures of one ask may be."""
        return min(self.max_pixels, max(1, self.max_prompt_pixels // max(1, pictures)))
