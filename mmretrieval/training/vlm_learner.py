"""The demo VLM while it learns: its words and its projector; the tower stands still."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmretrieval.training import vlm_folder
from mmretrieval.training.vlm_batches import Part
from mmretrieval.training.vlm_dialogue import IGNORED
from mmretrieval.training.vlm_folder import IMAGE, PAD


class Learner(nn.Module):
    """The model to ship. Only what stands behind the tower is trained, on features the tower gave once."""

    def __init__(self, clip: Path) -> None:
        super().__init__()
        self.vlm = vlm_folder.new_model()
        self.tower.load_state_dict(vlm_folder.tower_of(clip))
        self.tower.eval().requires_grad_(False)

    @property
    def tower(self) -> nn.Module:
        tower: nn.Module = self.vlm.model.vision_tower
        return tower

    def loss(self, parts: Sequence[Part]) -> Tensor:
        """Weighted mean cross-entropy of what is to be said in all parts of a batch."""
        total = sum(part.weights.sum() for part in parts)
        return torch.stack([self._weighted(part) for part in parts]).sum() / total

    def _weighted(self, part: Part) -> Tensor:
        words = self.vlm.model.language_model
        pictures = self.vlm.model.multi_modal_projector(part.features)
        x = words.embed_tokens(part.ids)
        x = x.masked_scatter((part.ids == IMAGE)[..., None].expand_as(x), pictures.to(x.dtype))
        hidden = words(inputs_embeds=x, attention_mask=(part.ids != PAD).long(), use_cache=False).last_hidden_state
        counted = part.targets[:, 1:] != IGNORED
        logits = F.linear(hidden[:, :-1][counted], words.embed_tokens.weight)
        losses = F.cross_entropy(logits.float(), part.targets[:, 1:][counted], reduction="none")
        return (losses * part.weights[:, 1:][counted]).sum()

    @property
    def learned(self) -> nn.ModuleDict:
        """The parts that training changes."""
        return nn.ModuleDict(
            {"words": self.vlm.model.language_model, "projector": self.vlm.model.multi_modal_projector}
        )

    def groups(self) -> list[dict[str, object]]:
        """What learns, with weight decay for matrices alone."""
        learning = list(self.learned.parameters())
        return [
            {"params": [value for value in learning if value.ndim > 1], "weight_decay": 0.05},
            {"params": [value for value in learning if value.ndim <= 1], "weight_decay": 0.0},
        ]


def device_of(name: str | None) -> torch.device:
    """The named device, or the GPU where there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
