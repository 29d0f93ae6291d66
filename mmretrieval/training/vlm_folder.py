"""The demo VLM's folder in transformers' format: FastVLM with the demo CLIP's tower and a small Qwen2.

The tower is the demo CLIP's own (the keys of timm's network are the same in both formats), the words have a
vocabulary of their own. The folder holds no code: the Auto classes of transformers load it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from mmretrieval import prompts
from mmretrieval.demo.edits import edit
from mmretrieval.demo.sample import scene
from mmretrieval.training import clip_folder, vlm_words

if TYPE_CHECKING:
    import torch
    from transformers import FastVlmForConditionalGeneration

WIDTH, LAYERS, HEADS, HEAD_WIDTH, HIDDEN = 192, 4, 5, 64, 640
TOWER_WIDTH = 368
STRIDE = 32  # pixels of a picture that one of its tokens stands for
VOCABULARY = 1088
CONTEXT = 2048  # tokens
SPECIALS = ("<pad>", "<start>", "<end>", "<image>", "<user>", "<assistant>")
PAD, START, END, IMAGE, USER, ASSISTANT = range(len(SPECIALS))
TEMPLATE = (
    "<start>{% for message in messages %}"
    "{% if message['role'] == 'assistant' %}<assistant>{% else %}<user>{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %}<end>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def corpus(seed: str, scenes: int) -> Iterator[str]:
    """Sentences, prompts and answers to learn a vocabulary from."""
    yield from clip_folder.corpus(seed, scenes)
    rng = Random(f"vlm-corpus:{seed}")
    for number in range(scenes):
        shown = scene(f"corpus:{seed}", number, "food" if number % 2 == 0 else "nature")
        changed, words = edit(shown, rng)
        yield vlm_words.sentence(shown)
        yield ", ".join(vlm_words.items(shown))
        yield prompts.CAPTION
        yield prompts.INGREDIENTS
        yield prompts.TARGET.format(words)
        yield prompts.FITS.format(vlm_words.question(shown, changed, rng)[0])
        yield prompts.WHICH.format(words)
        yield rng.choice(("yes", "no"))
        yield " > ".join(str(rng.randrange(1, 17)) for _ in range(4))
        yield prompts.LABEL.format(rng.randrange(1, 17))


def write_tokenizer(folder: Path, seed: str, scenes: int = 4000) -> None:
    """A lower-casing byte-level BPE: any word has ids; "yes", "no" and the numbers to 16 are one token each."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(seed, scenes), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))


def write_processor(folder: Path) -> None:
    """Chat template, tokenizer settings and how pictures are prepared; `tokenizer.json` has to be there."""
    from transformers import CLIPImageProcessor, LlavaProcessor, PreTrainedTokenizerFast

    half = [0.5, 0.5, 0.5]
    # squashed to a square, as the CLIP does; servers count a picture's tokens by the size of a crop, though none is cut
    square = {"height": clip_folder.IMAGE_SIZE, "width": clip_folder.IMAGE_SIZE}
    pictures = CLIPImageProcessor(size=square, crop_size=square, do_center_crop=False, image_mean=half, image_std=half)
    words = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        pad_token=SPECIALS[PAD],
        bos_token=SPECIALS[START],
        eos_token=SPECIALS[END],
        additional_special_tokens=list(SPECIALS[IMAGE:]),
        padding_side="left",
        model_max_length=CONTEXT,
    )
    LlavaProcessor(
        pictures,
        words,
        patch_size=STRIDE,
        vision_feature_select_strategy="full",
        image_token=SPECIALS[IMAGE],
        chat_template=TEMPLATE,
    ).save_pretrained(folder)


def new_model() -> FastVlmForConditionalGeneration:
    """The architecture with random weights. The usual spread of 0.02 is too small for such narrow layers."""
    from transformers import FastVlmConfig, FastVlmForConditionalGeneration, TimmWrapperConfig

    tower = TimmWrapperConfig(architecture=clip_folder.TRUNK, do_pooling=False, num_labels=0)
    tower.hidden_size = TOWER_WIDTH
    config = FastVlmConfig(
        vision_config=tower,
        text_config={
            "model_type": "qwen2",
            "hidden_size": WIDTH,
            "intermediate_size": HIDDEN,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "head_dim": HEAD_WIDTH,
            "vocab_size": VOCABULARY,
            "max_position_embeddings": CONTEXT,
            "initializer_range": 1 / math.sqrt(WIDTH),
            "rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0},
            "tie_word_embeddings": True,
            "bos_token_id": START,
            "eos_token_id": END,
            "pad_token_id": PAD,
        },
        image_token_index=IMAGE,
        image_token_id=IMAGE,
        projector_hidden_act="gelu",
        tie_word_embeddings=True,
    )
    return FastVlmForConditionalGeneration(config)


def tower_of(clip: Path) -> Mapping[str, torch.Tensor]:
    """The vision tower of a CLIP folder, with the names that transformers gives its parts."""
    from safetensors.torch import load_file

    trunk = "visual.trunk."
    state = load_file(str(clip / "open_clip_model.safetensors"))
    return {
        f"timm_model.{name.removeprefix(trunk)}": value.float() if value.is_floating_point() else value
        for name, value in state.items()
        if name.startswith(trunk)
    }


def write_weights(folder: Path, model: FastVlmForConditionalGeneration) -> None:
    """Half precision, except the normalisation statistics, where rounding would hurt."""
    state = {
        name: value if not value.is_floating_point() or name.endswith(("running_mean", "running_var")) else value.half()
        for name, value in model.state_dict().items()
    }
    model.save_pretrained(folder, state_dict=state)
    (folder / "model.safetensors").chmod(0o644)  # safetensors makes it readable for its owner alone
    _say_generation(folder)


def _say_generation(folder: Path) -> None:
    """Greedy answers: a server that reads these defaults then answers as the library does."""
    settings: dict[str, Any] = {
        "bos_token_id": START,
        "eos_token_id": END,
        "pad_token_id": PAD,
        "do_sample": False,
        "max_new_tokens": 128,
    }
    (folder / "generation_config.json").write_text(json.dumps(settings, indent=1) + "\n")
