"""The demo VLM while it learns: its words and its projector; the tower stands still."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmretrieval.demo.scenes import Scene
from mmretrieval.training import vlm_folder, vlm_hints
from mmretrieval.training.vlm_alignment import Alignment
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
        self.vlm.model.language_model.set_attn_implementation("eager")  # which tells what each head looked at

    @property
    def tower(self) -> nn.Module:
        tower: nn.Module = self.vlm.model.vision_tower
        return tower

    def loss(self, parts: Sequence[Part]) -> tuple[Tensor, Tensor]:
        """Over all parts of a batch: the weighted mean cross-entropy of what is to be said, and the mean loss of hints.

        Without hints the second is 0.
        """
        total = sum(part.weights.sum() for part in parts)
        losses = [self._of(part) for part in parts]
        hinted = [hint for _, hint in losses if hint is not None]
        missed = torch.stack(hinted).mean() if hinted else losses[0][0].new_zeros(())
        return torch.stack([said for said, _ in losses]).sum() / total, missed

    def alignment_loss(self, features: Tensor, scenes: Sequence[Scene], alignment: Alignment) -> Tensor:
        """How far the tokens of pictures, of features (n, 9, width), are from the words for what they show."""
        pictures = self.vlm.model.multi_modal_projector(features)
        return alignment.loss(pictures, self.vlm.model.language_model.embed_tokens.weight, scenes)

    def _of(self, part: Part) -> tuple[Tensor, Tensor | None]:
        words = self.vlm.model.language_model
        pictures = self.vlm.model.multi_modal_projector(part.features)
        x = words.embed_tokens(part.ids)
        x = x.masked_scatter((part.ids == IMAGE)[..., None].expand_as(x), pictures.to(x.dtype))
        mask, hinted = (part.ids != PAD).long(), any(part.hints)
        out = words(inputs_embeds=x, attention_mask=mask, use_cache=False, output_attentions=hinted)
        counted = part.targets[:, 1:] != IGNORED
        logits = F.linear(out.last_hidden_state[:, :-1][counted], words.embed_tokens.weight)
        losses = F.cross_entropy(logits.float(), part.targets[:, 1:][counted], reduction="none")
        missed = vlm_hints.loss(out.attentions, part.hints) if hinted else None
        return (losses * part.weights[:, 1:][counted]).sum(), missed

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
