"""Tiny vision-language models with random weights, one of each family, saved as users have them on disk.

`write_vlm(folder, family)` gives a folder that AutoModelForImageTextToText and AutoProcessor load without network;
half a million parameters, 1-2 MB. What they say means nothing, but it depends on every picture and word they are given.
"""

import json
import math
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    FastVlmConfig,
    FastVlmForConditionalGeneration,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessor,
    Idefics3Processor,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
    TimmWrapperConfig,
)

WIDTH, HEADS = 128, 2  # heads of width 64, the least that every server takes
CONTEXT = 2048

_SENTENCES = [
    "yes", "no", "Yes", "No", "true", "false", "describe the picture", "list what is in it", "rice, salmon, egg",
    "does it show a red bowl of soup? yes or no", "which picture shows a heron by the lake?",
    "describe it after this change: the bowl is blue", *[f"picture {n}:" for n in range(1, 17)],
    "3 > 1 > 2", "[1] > [2]", '{"order": [1, 2], "reason": "it fits"}', "Ünïcode – 日本語 🍣",
    "User: Assistant: user assistant",
]  # fmt: skip

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
_TURNS = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }}:"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
_MARKS = (
    "<start>{% for message in messages %}<user>{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
_QWEN_MARKS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>",
    "<|video_pad|>", "<think>", "</think>",
)  # fmt: skip
_IDEFICS_MARKS = (
    "<pad>", "<s>", "</s>", "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>",
    *(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)),
)  # fmt: skip
_FAST_MARKS = ("<pad>", "<start>", "<end>", "<image>", "<user>", "<assistant>")


def write_vlm(folder, family, *, seed=0):
    """The folder, filled with a model of one of FAMILIES."""
    torch.manual_seed(seed)
    folder = Path(folder)
    model, processor = FAMILIES[family]()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                weight.normal_(0, 1.2 / math.sqrt(weight[0].numel() if "embed" not in name else weight.shape[-1]))
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def change_json(file, **values):
    """Write other values into one of the folder's JSON files; None takes an entry out."""
    data = json.loads(file.read_text("utf-8"))
    data.update(values)
    file.write_text(json.dumps({key: value for key, value in data.items() if value is not None}), "utf-8")


def _tokenizer(marks, **names):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        _SENTENCES * 3,
        trainers.BpeTrainer(
            vocab_size=600,
            min_frequency=1,
            special_tokens=list(marks),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, padding_side="right", model_max_length=CONTEXT, **names
    )
    return wrapped, {mark: tokenizer.token_to_id(mark) for mark in marks}


def _text(vocabulary, **more):
    return {
        "hidden_size": WIDTH,
        "intermediate_size": 2 * WIDTH,
        "num_hidden_layers": 3,
        "num_attention_heads": HEADS,
        "num_key_value_heads": 1,
        "vocab_size": vocabulary,
        "max_position_embeddings": CONTEXT,
        **more,
    }


def _qwen2_5():
    tokenizer, ids = _tokenizer(_QWEN_MARKS, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    config = Qwen2_5_VLConfig(
        text_config=_text(
            len(tokenizer),
            rope_parameters={"rope_type": "default", "rope_theta": 1e4, "mrope_section": [8, 12, 12]},
            **_ends(ids["<|endoftext|>"], ids["<|im_end|>"]),
        ),
        vision_config={
            "depth": 2, "hidden_size": 64, "intermediate_size": 96, "num_heads": 2, "patch_size": 12,
            "spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 48, "fullatt_block_indexes": [1],
            "out_hidden_size": WIDTH,
        },
        **_qwen_ids(ids),
    )  # fmt: skip
    pixels = {
        "patch_size": 12,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "min_pixels": 24**2,
        "max_pixels": 24**2 * 40,
    }
    processor = Qwen2_5_VLProcessor(
        Qwen2VLImageProcessor(**pixels), tokenizer, Qwen2VLVideoProcessor(**pixels), chat_template=CHATML
    )
    return Qwen2_5_VLForConditionalGeneration(config), processor


def _qwen3():
    tokenizer, ids = _tokenizer(_QWEN_MARKS, pad_token="<|endoftext|>", eos_token="<|im_end|>")
    config = Qwen3VLConfig(
        text_config=_text(
            len(tokenizer),
            head_dim=WIDTH // HEADS,
            rope_parameters={
                "rope_type": "default", "rope_theta": 1e4, "mrope_section": [12, 10, 10], "mrope_interleaved": True,
            },
            **_ends(ids["<|endoftext|>"], ids["<|im_end|>"]),
        ),
        vision_config={
            "depth": 3, "hidden_size": 64, "intermediate_size": 96, "num_heads": 2, "patch_size": 12,
            "spatial_merge_size": 2, "temporal_patch_size": 2, "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1], "out_hidden_size": WIDTH,
        },
        **_qwen_ids(ids),
    )  # fmt: skip
    pixels = {
        "patch_size": 12, "merge_size": 2, "temporal_patch_size": 2,
        "size": {"shortest_edge": 24**2, "longest_edge": 24**2 * 40},
    }  # fmt: skip
    processor = Qwen3VLProcessor(
        Qwen2VLImageProcessor(**pixels), tokenizer, Qwen3VLVideoProcessor(**pixels), chat_template=CHATML
    )
    return Qwen3VLForConditionalGeneration(config), processor


def _idefics3():
    tokenizer, ids = _tokenizer(_IDEFICS_MARKS, pad_token="<pad>", bos_token="<s>", eos_token="<end_of_utterance>")
    config = Idefics3Config(
        text_config=_text(len(tokenizer), model_type="llama", **_ends(ids["<pad>"], ids["<end_of_utterance>"])),
        vision_config={
            "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": 48, "patch_size": 12,
        },
        scale_factor=2,
        image_token_id=ids["<image>"],
        pad_token_id=ids["<pad>"],
        tie_word_embeddings=True,
    )  # fmt: skip
    images = Idefics3ImageProcessor(size={"longest_edge": 96}, max_image_size={"longest_edge": 48})
    processor = Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=_TURNS)
    return Idefics3ForConditionalGeneration(config), processor


def _fast():
    tokenizer, ids = _tokenizer(_FAST_MARKS, pad_token="<pad>", bos_token="<start>", eos_token="<end>")
    tower = TimmWrapperConfig(architecture="test_resnet", do_pooling=False, num_labels=0)
    tower.hidden_size = 96
    config = FastVlmConfig(
        vision_config=tower,
        text_config=_text(
            len(tokenizer), model_type="qwen2", tie_word_embeddings=True, **_ends(ids["<pad>"], ids["<end>"])
        ),
        image_token_index=ids["<image>"],
        image_token_id=ids["<image>"],
        tie_word_embeddings=True,
    )
    images = CLIPImageProcessor(size={"shortest_edge": 64}, do_center_crop=False)
    processor = LlavaProcessor(
        images, tokenizer, patch_size=32, vision_feature_select_strategy="full", chat_template=_MARKS
    )
    return FastVlmForConditionalGeneration(config), processor


def _ends(pad, end):
    return {"pad_token_id": pad, "eos_token_id": end, "bos_token_id": pad}


def _qwen_ids(ids):
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": True,
    }


FAMILIES = {"qwen2_5_vl": _qwen2_5, "qwen3_vl": _qwen3, "idefics3": _idefics3, "fast_vlm": _fast}
