"""The demo CLIP's folder in open_clip's `local-dir:` format: configuration, tokenizer, weights.

The vision tower is a small timm convolutional network behind global average pooling, so that a vision-language
model of transformers can take the same tower over (`TimmWrapper` reads timm's own layout).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mmretrieval.demo.edits import edit
from mmretrieval.demo.sample import scene
from mmretrieval.demo.wording import choose_facts, describe

if TYPE_CHECKING:
    import torch

IMAGE_SIZE = 96
TRUNK = "regnetx_002"
EMBED_DIM = 256
CONTEXT = 72
VOCABULARY = 1024
PAD, BOS, EOS = 0, 1, 2

MODEL_CONFIG: dict[str, Any] = {
    "embed_dim": EMBED_DIM,
    "custom_text": True,
    "vision_cfg": {
        "timm_model_name": TRUNK,
        "timm_model_pretrained": False,
        "timm_pool": "avg",
        "timm_proj": "linear",
        "timm_proj_bias": True,
        "image_size": IMAGE_SIZE,
    },
    "text_cfg": {
        "context_length": CONTEXT,
        "vocab_size": VOCABULARY,
        "width": 128,
        "heads": 2,
        "layers": 3,
        "pool_type": "eos",
        "eos_id": EOS,
        "pad_id": PAD,
        "hf_tokenizer_name": ".",
    },
}
PREPROCESSING: dict[str, Any] = {
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic",
    "resize_mode": "squash",
}


def corpus(seed: str, scenes: int) -> Iterator[str]:
    """Captions, queries and modification texts to learn a vocabulary from."""
    for number in range(scenes):
        rng = Random(f"corpus:{seed}:{number}")
        shown = scene(f"corpus:{seed}", number, "food" if number % 2 == 0 else "nature")
        yield describe(shown, shown.facts, rng)
        yield describe(shown, choose_facts(shown, 0.5, rng), rng)
        yield edit(shown, rng)[1]


def write_tokenizer(folder: Path, seed: str) -> None:
    """A lower-casing byte-level BPE: any word of any language has ids, the world's own words mostly one each."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<pad>", "<start>", "<end>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(seed, 6000), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", BOS), ("<end>", EOS)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT,
        "pad_token": "<pad>",
        "bos_token": "<start>",
        "eos_token": "<end>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=1) + "\n")


def write_config(folder: Path) -> None:
    """Architecture and preprocessing, as open_clip reads them."""
    config = {"model_cfg": MODEL_CONFIG, "preprocess_cfg": PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(config, indent=1) + "\n")


def write_weights(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Half precision, except where rounding would hurt: normalisation statistics and the temperature."""
    from safetensors.torch import save_file

    exact = ("running_mean", "running_var", "logit_scale")
    kept = {
        name: (value if not value.is_floating_point() or name.endswith(exact) else value.half()).contiguous()
        for name, value in state.items()
    }
    partial = folder / "open_clip_model.safetensors.partial"
    save_file(kept, str(partial), metadata={"format": "pt"})
    partial.chmod(0o644)  # safetensors makes it readable for its owner alone
    partial.replace(folder / "open_clip_model.safetensors")
