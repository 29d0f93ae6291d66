"""What a user's name for an encoder stands for: an architecture, a file of weights and a tokenizer, all local by then.

ViT-B-32/openai           architecture and weights that open_clip knows; or a file of weights after the slash
hf-hub:ORGANISATION/NAME  a repository with an open_clip_config.json
local-dir:FOLDER          the same files in a folder; so does a plain folder path
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mmretrieval import hub
from mmretrieval.encoders._clip_folder import CONFIG, WEIGHTS, read_config, weights_in
from mmretrieval.errors import InvalidData, NotFound, UsageError
from mmretrieval.hub import Wish

TOKENIZER = "tokenizer_config.json"
VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
TOKENIZER_PATTERNS = ("*token*", "vocab.*", "merges.txt", "*.model", "config.json")
LIST = "python -c 'import open_clip; print(*open_clip.list_pretrained(), sep=\"\\n\")'"
SIZES = {"ViT-B-16-SigLIP2-256/webli": "1,501 MB"}  # of weights we recommend; others tell theirs when they are fetched
_SHOWN = 8  # names in an error; some architectures have twenty
CURES = (
    "connect to the network once, or copy a folder with a model here and use --encoder local-dir:FOLDER, or set "
    "HF_HOME to a cache that has it (--encoder demo needs no download, but knows drawn pictures only)"
)


@dataclass(frozen=True, slots=True)
class Source:
    """Everything needed to build one encoder without touching the network."""

    name: str  # the same wherever one stands: a folder is named by its whole path
    shown: str  # the name in errors
    model: str  # what open_clip is asked for
    config: dict[str, Any]  # open_clip's model_cfg
    weights: Path
    tokenizer: str  # the folder of its files; empty for open_clip's own
    options: dict[str, Any] = field(default_factory=dict)  # further arguments of create_model_and_transforms

    @property
    def files(self) -> list[Path]:
        """All files that decide over its vectors, in the order of their names."""
        beside = [self.weights, self.weights.parent / CONFIG]
        tokenizer = [Path(self.tokenizer) / name for name in (TOKENIZER, *VOCABULARIES)] if self.tokenizer else []
        return sorted(path for path in (*beside, *tokenizer) if path.is_file())


def resolve(spec: str) -> Source:
    """Find, and where needed download, what the name stands for.

    Raises UsageError for a name nobody knows, NotFound for a folder that is not there, InvalidData for a folder that
    is no model, MissingPrerequisite when something must be downloaded and cannot be.
    """
    shown = f"the encoder '{spec}'"
    if not spec.strip():
        raise _unknown(spec)
    if spec.startswith("local-dir:"):
        return _with_text_tower(_from_folder(Path(spec.removeprefix("local-dir:")).expanduser(), shown))
    if spec.startswith("hf-hub:"):
        return _with_text_tower(_from_hub(spec.removeprefix("hf-hub:"), shown))
    known = _split(spec)
    if known is not None:
        return _with_text_tower(_from_tag(*known, shown))
    if Path(spec).expanduser().is_dir():
        return _with_text_tower(_from_folder(Path(spec).expanduser(), shown))
    raise _unknown(spec)


def _split(spec: str) -> tuple[str, str] | None:
    """The architecture and what follows it; open_clip also writes ViT-B/32 for ViT-B-32."""
    import open_clip

    parts = spec.split("/")
    for cut in range(len(parts), 0, -1):
        name = "-".join(parts[:cut])
        if open_clip.get_model_config(name) is not None:
            return name, "/".join(parts[cut:])
    return None


def _from_tag(name: str, tag: str, shown: str) -> Source:
    import open_clip

    config: dict[str, Any] = open_clip.get_model_config(name)
    tags = open_clip.list_pretrained_tags_by_model(name)
    told: dict[str, Any] = open_clip.get_pretrained_cfg(name, tag) if tag else {}
    if told.get("hf_hub"):
        repo, _, file = told["hf_hub"].rpartition("/")
        wish = Wish(shown, SIZES.get(f"{name}/{tag}", ""), CURES)
        weights = hub.fetch(repo, _with_safe_variant(file), wish)
        if weights is None:
            raise InvalidData(f"{shown}: the repository {repo} has no weights: use another encoder")
    elif tag and Path(tag).expanduser().is_file():
        weights = Path(tag).expanduser()
    else:
        raise UsageError(_unknown_tag(name, tag, tags))
    return Source(f"{name}/{tag}", shown, name, config, weights, _tokenizer_of(config, shown), _options(config, told))


def _with_safe_variant(file: str) -> tuple[str, ...]:
    if not file:
        return WEIGHTS
    return (f"{file.rpartition('.')[0]}.safetensors", file)


def _options(config: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """What belongs to the weights rather than to the architecture: preprocessing, and OpenAI's activation function.

    open_clip only warns when weights trained with QuickGELU meet an architecture without; the vectors would be wrong.
    """
    names = {"image_mean": "mean", "image_std": "std", "image_interpolation": "interpolation"}
    options = {ours: told[theirs] for ours, theirs in names.items() if theirs in told}
    if "resize_mode" in told:
        options["image_resize_mode"] = told["resize_mode"]
    if told.get("quick_gelu") and not config.get("quick_gelu"):
        options["force_quick_gelu"] = True
    return options


def _from_hub(repo: str, shown: str) -> Source:
    wish = Wish(shown, "", CURES)
    if hub.fetch(repo, [CONFIG], wish) is None:
        raise InvalidData(f"{shown}: the repository {repo} has no {CONFIG}, so it is no open_clip model")
    weights = hub.fetch(repo, WEIGHTS, wish)
    if weights is None:
        raise InvalidData(f"{shown}: the repository {repo} has none of {', '.join(WEIGHTS)}")
    # Asked again, since the repository may have changed between the two downloads; both must be of one revision.
    config_file = weights.parent / CONFIG
    if not config_file.is_file() and hub.fetch(repo, [CONFIG], wish) != config_file:
        raise InvalidData(f"{shown}: {repo} changed while it was downloaded: run the same command again")
    config = read_config(config_file)
    return Source(f"hf-hub:{repo}", shown, f"local-dir:{weights.parent}", config, weights, _tokenizer_of(config, shown))


def _from_folder(folder: Path, shown: str) -> Source:
    folder = folder.resolve()
    if not folder.is_dir():
        raise NotFound(f"{shown}: there is no folder {folder}")
    config = read_config(folder / CONFIG)
    tokenizer = str(folder) if config["text_cfg"].get("hf_tokenizer_name") else ""
    if tokenizer and not any((folder / file).is_file() for file in VOCABULARIES):
        raise InvalidData(f"{folder}: the tokenizer is missing, a file such as tokenizer.json: copy it there, too")
    return Source(f"local-dir:{folder}", shown, f"local-dir:{folder}", config, weights_in(folder), tokenizer)


def _tokenizer_of(config: dict[str, Any], shown: str) -> str:
    """The folder with the tokenizer that a configuration names, in the cache; empty when it names none."""
    repo: str = config["text_cfg"].get("hf_tokenizer_name") or ""
    if not repo:
        return ""
    rules, vocabulary = hub.cached(repo, [TOKENIZER]), hub.cached(repo, VOCABULARIES)
    if rules and vocabulary and rules.parent == vocabulary.parent:  # only one of them: a download broke off
        return str(rules.parent)
    return str(hub.fetch_matching(repo, TOKENIZER_PATTERNS, TOKENIZER, Wish(f"the tokenizer of {shown}", "", CURES)))


def _with_text_tower(source: Source) -> Source:
    """Let a text tower of the transformers library be built from a cached description; its weights are in ours."""
    text: dict[str, Any] = source.config["text_cfg"]
    if not text.get("hf_model_name"):
        return source
    file = hub.fetch(text["hf_model_name"], ["config.json"], Wish(f"the text tower of {source.shown}", "", CURES))
    if file is None:
        raise InvalidData(f"{source.shown}: {text['hf_model_name']} has no config.json for the text tower")
    local = {**text, "hf_model_name": str(file.parent), "hf_model_pretrained": False}
    return replace(source, options={**source.options, "text_cfg": local})


def _unknown_tag(name: str, tag: str, tags: list[str]) -> str:
    more = f" or one of {len(tags) - _SHOWN} more, listed by {LIST}" if len(tags) > _SHOWN else ""
    some = ", ".join(f"{name}/{one}" for one in tags[:_SHOWN])
    known = f"choose one of {some}{more}" if tags else "give a file of weights instead"
    if not tag:
        return f"'{name}' is an architecture; say which weights: {known}"
    close = get_close_matches(tag.lower(), tags, n=1, cutoff=0.5)
    hint = f"did you mean '{name}/{close[0]}'? " if close else ""
    return f"open_clip knows no weights '{tag}' for {name}, and there is no such file: {hint}{known}"


def _unknown(spec: str) -> UsageError | NotFound:
    import open_clip

    if spec.startswith((".", "/", "~")) or "\\" in spec:
        return NotFound(f"there is no folder '{spec}' with a model")
    names = ["/".join(pair) for pair in open_clip.list_pretrained()]
    lower = {name.lower(): name for name in [*names, *open_clip.list_models()]}
    close = [lower[name] for name in get_close_matches(spec.lower(), lower, n=3, cutoff=0.6)]
    hint = f"did you mean {' or '.join(repr(name) for name in close)}? " if close else ""
    on_hub = f"a repository of the hub is written hf-hub:{spec}; " if spec.count("/") == 1 else ""
    return UsageError(f"there is no encoder '{spec}': {hint}{on_hub}all names are listed by {LIST}")
