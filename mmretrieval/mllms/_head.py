"""The last step of a language model, from its last hidden state to log-probabilities, in float32.

Logits in half precision have steps of 0.06 to 0.13 where they are large, so that different pictures tie. The states
are caught before the vocabulary projection and projected in float32, only where they are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from mmretrieval.mllms._loaded import Loaded

_CHUNK = 16_384  # rows of the vocabulary turned into float32 at once


class Head:
    """`exact` is whether the projection alone makes the model's logits; some models bend or scale them afterwards."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._layer: Any = loaded.model.get_output_embeddings()
        self.exact = self._layer is not None and getattr(self._layer, "weight", None) is not None

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Sets `exact` by comparing with the model's own logits for these inputs."""
        states, logits = self._last(inputs, 1)
        ours = self._project(states[:, -1])
        near = 1e-4 if self._loaded.dtype == torch.float32 else 5e-2
        self.exact = bool((ours - logits[:, -1].float()).abs().max() <= near * (1 + ours.abs().max()))

    def log_probs(self, inputs: Mapping[str, Any], wanted: Sequence[Sequence[tuple[int, int]]]) -> list[list[float]]:
        """For each row, the log-probabilities of (back, token): the token after the position `back` from the end."""
        keep = max(back for row in wanted for back, _ in row) + 1
        states, logits = self._last(inputs, keep)
        found = []
        for at, row in enumerate(wanted):
            backs = sorted({back for back, _ in row})
            spot = {back: n for n, back in enumerate(backs)}
            picked = [keep - 1 - back for back in backs]
            scores = self._project(states[at, picked]) if self.exact else logits[at, picked].float()
            normed = torch.log_softmax(scores, dim=-1)
            found.append([float(normed[spot[back], token]) for back, token in row])
        return found

    def _last(self, inputs: Mapping[str, Any], keep: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The last states that reach the projection, (rows, keep, width), and the model's logits of them."""
        caught: list[torch.Tensor] = []

        def catch(_: Any, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            caught.append(arguments[0][:, -keep:])
            return (caught[-1], *arguments[1:])

        hook = self._layer.register_forward_pre_hook(catch)
        more = {"logits_to_keep": keep} if "logits_to_keep" in self._loaded.takes else {}
        try:
            with torch.inference_mode():
                out = self._loaded.model(**inputs, **more, use_cache=False, return_dict=True)
        finally:
            hook.remove()
        return caught[0], out.logits[:, -keep:]

    def _project(self, states: torch.Tensor) -> torch.Tensor:
        """(n, width) to (n, vocabulary), in float32 whatever the weights are."""
        weight, bias = self._layer.weight, getattr(self._layer, "bias", None)
        rows = states.float()
        logits = torch.cat([rows @ part.float().T for part in weight.split(_CHUNK)], dim=-1)
        return logits if bias is None else logits + bias.float()
