"""Writes open_clip's tokenizer of a model in the format of the tokenizers library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from open_clip.tokenizer import SimpleTokenizer
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from mmretrieval.encoders._clip_words import Words
from mmretrieval.errors import UsageError

_CLEANS = {"_clean_lower": "lower", "_clean_whitespace": "whitespace", "_clean_canonicalize": "canonicalize"}


def write_tokenizer(words: Words, file: Path) -> dict[str, Any]:
    """The file, and the rules that `ExportedWords` needs with it; raises UsageError where there is no such form."""
    tokenizer = words.tokenizer
    rules: dict[str, Any] = {"context": words.context, "clean": _CLEANS.get(tokenizer.clean_fn.__name__)}
    if rules["clean"] is None or getattr(tokenizer, "reduction_fn", None) or getattr(tokenizer, "tokenizer_mode", ""):
        raise UsageError(
            "the tokenizer of this model works in a way that cannot be exported: use the model itself, which runs in "
            "torch"
        )
    if isinstance(tokenizer, SimpleTokenizer):
        file.write_text(_openai(tokenizer).to_str(), "utf-8")
        return rules | {
            "pattern": tokenizer.pat.pattern,
            "start": tokenizer.sot_token_id,
            "end": tokenizer.eot_token_id,
        }
    split = tokenizer.tokenizer
    if not getattr(split, "is_fast", False):
        raise UsageError("the tokenizer of this model has no tokenizer.json: use the model itself, which runs in torch")
    words.tokens(["a dog"])  # after it the tokenizer knows how it cuts off and pads
    file.write_text(split.backend_tokenizer.to_str(), "utf-8")
    return rules | {"stripped": split.sep_token_id if tokenizer.strip_sep_token else None}


def _openai(tokenizer: SimpleTokenizer) -> Tokenizer:
    merges = [pair for pair, _ in sorted(tokenizer.bpe_ranks.items(), key=lambda item: item[1])]
    made = Tokenizer(models.BPE(vocab=tokenizer.encoder, merges=merges, end_of_word_suffix="</w>"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    marks = [token for token, number in tokenizer.encoder.items() if number in tokenizer.all_special_ids]
    made.add_special_tokens([AddedToken(mark, normalized=False) for mark in marks])
    return made
