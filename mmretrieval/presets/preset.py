"""A preset is a pipeline in TOML: the encoder, how composed queries are joined, and stages with their settings.

    about = "one sentence"
    paper = "arXiv …"                       # then every constant has an origin
    encoder = "ViT-B-32/…"                  # without one: the encoder of the index

    [query]                                 # for a picture plus a change
    compose = "sum"
    weights = { text = 0.8, image = 0.2 }

    [[stages]]                              # in their order
    verb = "rerank"                         # rewrite, search, refine, rerank
    method = "grid"                         # the file's name; all else are its settings
    depth = 16

    [origins]                               # where a number comes from: paper, code, ours
    "grid.depth" = "ours: not known"

A preset may name a stage that this version does not have. It can be read and listed, and says what is missing when it
is opened; no stage is ever left out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from mmretrieval import registry
from mmretrieval.errors import InvalidData, MissingPrerequisite, NotFound, UsageError
from mmretrieval.specs import make, parse_spec
from mmretrieval.types import Compose, Query

VERBS = {"rewrite": "rewriters", "search": "first_stages", "refine": "refiners", "rerank": "rerankers"}
_FOLDER = Path(__file__).parent
_KEYS = ("about", "paper", "encoder", "query", "stages", "origins")
_NO_WEIGHTS: Mapping[str, float] = MappingProxyType({})

Setting = str | int | float | bool


@dataclass(frozen=True, slots=True)
class StageSpec:
    """One stage by name, with its settings."""

    verb: str
    method: str
    settings: Mapping[str, Setting]

    @property
    def kind(self) -> str:
        """The registry's word for the verb."""
        return VERBS[self.verb]

    @property
    def is_here(self) -> bool:
        """Whether this version, or an installed package, has the method."""
        return self.method.replace("-", "_") in registry.names(self.kind)

    def made_idle(self) -> Any:
        """The stage with nothing to work on: what it asks and how deep it looks may depend on its settings."""
        return make(self.kind, str(self), encoder=None, collection=None, open_encoder=None)

    def __str__(self) -> str:
        """As `specs.make` reads it."""
        settings = ",".join(f"{name}={_written(value)}" for name, value in self.settings.items())
        return f"{self.method}:{settings}" if settings else self.method


@dataclass(frozen=True, slots=True)
class Preset:
    """What a preset file says. `origins` maps "method.setting", "query.weights" or "encoder" to where it comes from."""

    name: str
    about: str
    stages: tuple[StageSpec, ...]
    paper: str = ""
    encoder: str = ""
    weights: Mapping[str, float] = field(default_factory=lambda: _NO_WEIGHTS)
    compose: Compose = "sum"
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def missing(self) -> list[str]:
        """The stages that this version does not have, in words."""
        return [f"the method '{stage.method}' to {stage.verb}" for stage in self.stages if not stage.is_here]

    @property
    def asking(self) -> list[str]:
        """The methods that ask a language model, so that one has to be named; for presets that miss nothing."""
        stages = [stage for stage in self.stages if stage.verb in ("rewrite", "rerank")]
        return [stage.method for stage in stages if stage.made_idle().needs]

    def need_all(self) -> None:
        """Raises MissingPrerequisite naming what this preset needs and this version lacks."""
        if self.missing:
            raise MissingPrerequisite(
                f"the preset '{self.name}' needs {' and '.join(self.missing)}, which this version does not have: "
                "choose one that `mmretrieval list presets` calls ready, or install the package that brings it"
            )

    def reranked(self, specs: Sequence[str]) -> Preset:
        """The same with these rerankers behind its stages, as in "grid:depth=16"; UsageError as of `specs.make`."""
        added = []
        for spec in specs:
            method, settings = parse_spec(spec)
            added.append(StageSpec("rerank", method, settings))
            added[-1].made_idle()  # refuses what cannot be made
        name = "+".join([self.name, *(stage.method for stage in added)])
        about = f"{self.about} Then: {', '.join(map(str, added))}."
        return replace(self, name=name, about=about, stages=(*self.stages, *added))

    def joined(self, query: Query) -> Query:
        """A composed query with the weights and operator of this preset; others, and those with weights, stay."""
        if not query.is_composed or query.weights:
            return query
        return replace(query, weights=self.weights, compose=self.compose)


def names() -> list[str]:
    """The presets that come with the package, sorted."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def read_preset(name: str | Path) -> Preset:
    """A preset by its name, or from a file whose name ends in .toml.

    Raises UsageError for an unknown name, NotFound without the file, InvalidData naming what is wrong in it.
    """
    if not str(name).endswith(".toml"):
        if name not in names():
            raise UsageError(f"there is no preset '{name}': choose one of {', '.join(names())}, or name a .toml file")
        return read_preset(_FOLDER / f"{name}.toml")
    file = Path(name)
    try:
        told = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"there is no preset file {file}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidData(f"{file}: no TOML that can be read: {error}") from error
    return _preset(told, file)


def _preset(told: Mapping[str, Any], file: Path) -> Preset:
    _only(told, _KEYS, file, "the preset")
    query = _table(told.get("query", {}), file, "query")
    _only(query, ("compose", "weights"), file, "[query]")
    stages = told.get("stages", [])
    if not isinstance(stages, list) or not stages:
        raise InvalidData(f"{file}: a preset needs its [[stages]], each with a verb and a method")
    preset = Preset(
        file.stem,
        about=_text(told, "about", file),
        stages=tuple(_stage(stage, file, number) for number, stage in enumerate(stages, start=1)),
        paper=_text(told, "paper", file),
        encoder=_text(told, "encoder", file),
        weights=_weights(query, file),
        compose=_compose(query, file),
        origins={name: str(value) for name, value in _table(told.get("origins", {}), file, "origins").items()},
    )
    _check_origins(preset, query, file)
    return preset


def _stage(told: Any, file: Path, number: int) -> StageSpec:
    stage = dict(_table(told, file, f"stage {number}"))
    verb, method = stage.pop("verb", None), stage.pop("method", None)
    if verb not in VERBS:
        raise InvalidData(f"{file}: stage {number} has the verb {verb!r}: write one of {', '.join(VERBS)}")
    if not isinstance(method, str) or not method:
        raise InvalidData(f"{file}: stage {number} names no method to {verb}: see mmretrieval list {VERBS[verb]}")
    for name, value in stage.items():
        if not isinstance(value, Setting) or (isinstance(value, str) and "," in value):
            raise InvalidData(f"{file}: {method}.{name} is {value!r}: a setting is a number, a word, true or false")
    return StageSpec(verb, method, stage)


def _weights(query: Mapping[str, Any], file: Path) -> Mapping[str, float]:
    weights = _table(query.get("weights", {}), file, "query.weights")
    _only(weights, ("text", "image"), file, "query.weights")
    for name, value in weights.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidData(f"{file}: query.weights gives {name} {value!r}, and it should be a number")
    return MappingProxyType({name: float(value) for name, value in weights.items()})


def _compose(query: Mapping[str, Any], file: Path) -> Compose:
    compose: Compose = query.get("compose", "sum")
    if compose not in get_args(Compose):
        raise InvalidData(f"{file}: query.compose is {compose!r}: write one of {', '.join(get_args(Compose))}")
    return compose


def _check_origins(preset: Preset, query: Mapping[str, Any], file: Path) -> None:
    """Each origin is of a constant that is there, and in a paper's preset each constant has one."""
    constants = {f"{stage.method}.{name}" for stage in preset.stages for name in stage.settings}
    constants |= {f"query.{name}" for name in query} | ({"encoder"} if preset.encoder else set())
    for name in sorted(preset.origins.keys() - constants):
        raise InvalidData(f"{file}: [origins] tells of '{name}', which this preset does not set")
    for name in sorted(constants - preset.origins.keys()) if preset.paper else ():
        raise InvalidData(f"{file}: [origins] does not say where '{name}' comes from: paper, code, or ours")


def _only(told: Mapping[str, Any], known: tuple[str, ...], file: Path, place: str) -> None:
    for name in sorted(told.keys() - set(known)):
        raise InvalidData(f"{file}: {place} has no '{name}': it has {', '.join(known)}")


def _table(value: Any, file: Path, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidData(f"{file}: {place} is {value!r}, and it should be a table")
    return value


def _text(told: Mapping[str, Any], name: str, file: Path) -> str:
    value = told.get(name, "")
    if not isinstance(value, str):
        raise InvalidData(f"{file}: {name} is {value!r}, and it should be a text")
    return value


def _written(value: Setting) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
