"""Tiny models with random weights, one of each family that open_clip builds, saved as users have them on disk."""

import copy
import json
from pathlib import Path

import open_clip
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CENTRED = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bicubic", "resize_mode": "squash"}
PHOTO = {
    "mean": [0.48, 0.46, 0.41],
    "std": [0.27, 0.26, 0.28],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}

_TEXT = {"width": 32, "heads": 2, "layers": 2, "hf_tokenizer_name": "."}
_VIT = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16}

FAMILIES = {
    # as OpenAI's CLIP: open_clip's own tokenizer, causal text, the vector read at the highest token
    "vit": {
        "model_cfg": {
            "embed_dim": 24,
            "quick_gelu": True,
            "vision_cfg": _VIT,
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
        },
        "preprocess_cfg": PHOTO,
    },
    "resnet": {
        "model_cfg": {
            "embed_dim": 24,
            "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16},
            "text_cfg": {**_TEXT, "context_length": 20, "vocab_size": 400, "pool_type": "eos", "eos_id": 2},
        },
        "preprocess_cfg": PHOTO,
    },
    # as SigLIP: text that sees its padding, the vector read at the last position, a logit bias
    "siglip": {
        "model_cfg": {
            "embed_dim": 64,
            "init_logit_bias": -10,
            "custom_text": True,
            "vision_cfg": {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none"},
            "text_cfg": {
                **_TEXT,
                "context_length": 16,
                "vocab_size": 400,
                "tokenizer_kwargs": {"clean": "canonicalize"},
                "no_causal_mask": True,
                "proj_bias": True,
                "pool_type": "last",
                "norm_kwargs": {"eps": 1e-6},
                "act_kwargs": {"approximate": "tanh"},
            },
        },
        "preprocess_cfg": CENTRED,
    },
    # as the demo model: a timm tower, a custom text tower with a small tokenizer
    "custom": {
        "model_cfg": {
            "embed_dim": 24,
            "custom_text": True,
            "vision_cfg": {
                "image_size": 64,
                "timm_model_name": "test_resnet",
                "timm_pool": "avg",
                "timm_proj": "linear",
            },
            "text_cfg": {
                **_TEXT,
                "context_length": 24,
                "vocab_size": 400,
                "pool_type": "eos",
                "eos_id": 2,
                "no_causal_mask": True,
            },
        },
        "preprocess_cfg": CENTRED,
    },
    "custom-causal": {
        "model_cfg": {
            "embed_dim": 24,
            "custom_text": True,
            "vision_cfg": _VIT,
            "text_cfg": {**_TEXT, "context_length": 24, "vocab_size": 400, "pool_type": "eos", "eos_id": 2},
        },
        "preprocess_cfg": {**CENTRED, "resize_mode": "longest"},
    },
    # as CoCa: a token of its own is appended to the text
    "coca": {
        "model_cfg": {
            "embed_dim": 32,
            "custom_text": True,
            "vision_cfg": {**_VIT, "attentional_pool": True, "attn_pooler_heads": 4, "output_tokens": True},
            "text_cfg": {**_TEXT, "context_length": 20, "vocab_size": 400, "embed_cls": True, "output_tokens": True},
            "multimodal_cfg": {
                "context_length": 20,
                "vocab_size": 400,
                "width": 32,
                "heads": 2,
                "layers": 2,
                "attn_pooler_heads": 4,
            },
        },
        "preprocess_cfg": PHOTO,
    },
}

_SENTENCES = (
    "a plate of rice with red beans and two slices of lime on a wooden table",
    "three white herons stand in the reeds by the lake in the rain",
    "soup bowl fork knife spoon blue green dog cat bird fox in snow at night",
)


def write_family(folder: Path, family: str, *, seed: int = 0) -> Path:
    """A model of that family in open_clip's `local-dir:` format; returns the folder."""
    return write_model(folder, copy.deepcopy(FAMILIES[family]), seed=seed)


def write_model(folder: Path, config: dict, *, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config), "utf-8")
    if config["model_cfg"]["text_cfg"].get("hf_tokenizer_name"):
        write_tokenizer(folder)
    torch.manual_seed(seed)
    given = copy.deepcopy(config["model_cfg"])
    custom = given.pop("custom_text", False)
    kind = open_clip.CoCa if "multimodal_cfg" in given else open_clip.CustomTextCLIP if custom else open_clip.CLIP
    tensors = {
        name: torch.randn_like(t) * 0.02 + t if t.is_floating_point() else t
        for name, t in kind(**given).state_dict().items()
    }
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "open_clip_model.safetensors")
    return folder


def write_tokenizer(folder: Path, *, sentences: tuple[str, ...] = _SENTENCES) -> None:
    """A byte-level BPE of at most 400 tokens, with marks at both ends."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    marks = ["<pad>", "<start>", "<end>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=marks, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 1), ("<end>", 2)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "bos_token": "<start>",
        "eos_token": "<end>",
        "model_max_length": 1000,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(told), "utf-8")


def change_weight(folder: Path, name: str | None = None, by: float = 1e-3) -> None:
    """Change one number of one tensor."""
    file = folder / "open_clip_model.safetensors"
    tensors = load_file(file)
    name = name or min(name for name, tensor in tensors.items() if tensor.ndim == 2)
    tensors[name].view(-1)[0] += by
    save_file(tensors, file)


def change_config(folder: Path, part: str, **changes: object) -> None:
    """Change entries of `preprocess_cfg`, or of a part of `model_cfg`."""
    file = folder / "open_clip_config.json"
    config = json.loads(file.read_text("utf-8"))
    target = config["preprocess_cfg"] if part == "preprocess_cfg" else config["model_cfg"][part]
    target.update(changes)
    file.write_text(json.dumps(config), "utf-8")
