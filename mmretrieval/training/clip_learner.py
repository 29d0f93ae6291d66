"""The losses of the demo CLIP: reading slots, and telling pictures apart by words."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmretrieval.training import clip_folder, slots

POOLED_WEIGHT = 2.0  # against the same slots read from the map: the average has to learn which place is which
SLOT_WEIGHT = 0.06  # against the contrastive loss; there are 27 slots, each with a loss of its own
FACT_WEIGHT = 12.0  # a mean over all facts, few of which are mentioned


class Learner(nn.Module):
    """The CLIP to ship and the heads that only training needs."""

    def __init__(self) -> None:
        super().__init__()
        from open_clip.model import CustomTextCLIP

        config = {k: v for k, v in clip_folder.MODEL_CONFIG.items() if k != "custom_text"}
        self.clip = CustomTextCLIP(**config)
        self.mask: Tensor = self.clip.text.attn_mask.clone()
        self.sizes = [len(values) for values in slots.SLOTS.values()]
        width = int(self.clip.visual.trunk.num_features)
        cells = (clip_folder.IMAGE_SIZE // 32) ** 2
        self.map_slots = nn.Linear(cells * width, sum(self.sizes))
        self.tower_slots = nn.Linear(width, sum(self.sizes))
        self.embedding_slots = nn.Linear(clip_folder.EMBED_DIM, sum(self.sizes))
        self.text_facts = nn.Linear(clip_folder.EMBED_DIM, len(slots.FACTS))

    def slot_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Sum over slots of the mean cross-entropy over the scenes that have the slot."""
        total = logits.new_zeros(())
        for number, part in enumerate(torch.split(logits, self.sizes, dim=1)):
            wanted = targets[:, number]
            if bool((wanted != slots.ABSENT).any()):
                total = total + F.cross_entropy(part, wanted, ignore_index=slots.ABSENT)
        return total

    def encode_texts(self, ids: Tensor) -> Tensor:
        """Shorter and longer texts apart, each cut to its longest, which changes no value: attention is causal."""
        lengths = (ids != clip_folder.PAD).sum(dim=1)
        order = lengths.argsort()
        halves = []
        for half in order.chunk(2):
            longest = int(lengths[half].max())
            # open_clip takes its causal mask as it is, so it has to be cut like the ids
            self.clip.text.attn_mask = self.mask[:longest, :longest].to(ids.device)
            halves.append(self.clip.encode_text(ids[half, :longest]))
        vectors: Tensor = torch.cat(halves)[order.argsort()]
        return vectors

    def warm_loss(self, images: Tensor, targets: Tensor) -> Tensor:
        """Read from the feature map, where small things show first, and from its average, which is what ships."""
        features = self.clip.visual.trunk.forward_features(images)
        of_map = self.slot_loss(self.map_slots(features.flatten(1)), targets)
        return of_map + POOLED_WEIGHT * self.slot_loss(self.tower_slots(features.mean((2, 3))), targets)

    def contrast_loss(
        self, images: Tensor, texts: Tensor, targets: Tensor, mentioned: Tensor, allowed: Tensor
    ) -> Tensor:
        """`allowed` (texts, images) is false where another picture also shows all that a text mentions."""
        tower = self.clip.visual.trunk(images)
        image = F.normalize(self.clip.visual.head(tower), dim=-1)
        text = F.normalize(self.encode_texts(texts), dim=-1)
        scale = self.clip.logit_scale.exp().clamp(max=100.0)
        logits = (scale * text @ image.T).masked_fill(~allowed, -1e4)
        matched = torch.arange(len(images), device=images.device)
        contrast = (F.cross_entropy(logits, matched) + F.cross_entropy(logits.T, matched)) / 2
        reading = self.slot_loss(self.tower_slots(tower), targets) + self.slot_loss(
            self.embedding_slots(16 * image), targets
        )
        facts = F.binary_cross_entropy_with_logits(self.text_facts(16 * text), mentioned)
        total: Tensor = contrast + SLOT_WEIGHT * reading + FACT_WEIGHT * facts
        return total
