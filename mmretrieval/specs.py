"""Methods as people write them: NAME or NAME:key=value,key=value, as in superglobal:form=full,neighbours=5.

The keys are the arguments of the method's constructor that take text, a number, yes or no, or one of a few words;
what a method needs besides (an encoder, a collection) is given by the program.
"""

from __future__ import annotations

import inspect
import sys
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mmretrieval import registry
from mmretrieval.errors import UsageError

# what the program itself decides, though it could be written
GIVEN = {"rewriters": frozenset({"ask"})}
_YES_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse_spec(text: str) -> tuple[str, dict[str, str]]:
    """The name and the arguments, still as text; UsageError says what is wrong."""
    name, _, rest = text.partition(":")
    settings: dict[str, str] = {}
    for pair in rest.split(",") if rest.strip() else []:
        key, equals, value = (piece.strip() for piece in pair.partition("="))
        if not equals or not key:
            raise UsageError(f"'{text}' is not understood at '{pair}': write it as NAME:key=value,key=value")
        if key in settings:
            raise UsageError(f"'{text}' gives {key} twice: give it once")
        settings[key] = value
    if not name.strip():
        raise UsageError(f"'{text}' names no method: write it as NAME or NAME:key=value,key=value")
    return name.strip(), settings


def make(kind: str, text: str, **given: Any) -> Any:
    """The method of this kind that `text` describes; `given` are the arguments that cannot be written.

    Raises UsageError for an unknown name or key, and for a value of another type than the constructor takes; the
    constructor itself refuses what is out of its range.
    """
    name, settings = parse_spec(text)
    method = registry.load(kind, name)
    takes = _settable(method, frozenset(given))
    for key in settings:
        if key not in takes:
            known = ", ".join(takes) or "none"
            raise UsageError(f"'{name}' has no setting '{key}': its settings are {known}")
    wanted = {key: _value(f"{name}:{key}", text, takes[key]) for key, text in settings.items()}
    needed = inspect.signature(method).parameters
    return method(**{key: value for key, value in given.items() if key in needed}, **wanted)


def usual(kind: str, name: str) -> dict[str, str]:
    """What can be set on a method, with the values it has unless others are given, written as `make` reads them."""
    method = registry.load(kind, name)
    spots = inspect.signature(method).parameters
    takes = _settable(method, GIVEN.get(kind, frozenset()))
    return {key: _as_written(spots[key].default) for key in takes if spots[key].default is not inspect.Parameter.empty}


def _as_written(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def _settable(method: type[Any], given: frozenset[str]) -> dict[str, Any]:
    """The arguments of the constructor that can be written as text, with their types."""
    found = {}
    for name, spot in inspect.signature(method).parameters.items():
        hint = _hint(method, spot.annotation)
        if name not in given and all(_is_plain(one) for one in _choices(hint)):
            found[name] = hint
    return found


def _hint(method: type[Any], annotation: Any) -> Any:
    """The type behind an annotation; one that is only there for type checkers is no type that can be written."""
    holder = SimpleNamespace(__annotations__={"it": annotation})
    try:
        return get_type_hints(holder, vars(sys.modules[method.__module__]))["it"]
    except NameError:
        return object


def _choices(hint: Any) -> list[Any]:
    """What a type may be: the members of a union without None."""
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return [one for one in members if one is not NoneType]


def _is_plain(hint: Any) -> bool:
    return hint in (str, int, float, bool) or get_origin(hint) is Literal


def _value(place: str, text: str, hint: Any) -> Any:
    wanted = _choices(hint)
    if text.lower() == "none" and NoneType in get_args(hint):
        return None
    for one in wanted:
        if get_origin(one) is Literal:
            known = {str(word): word for word in get_args(one)}
            if text in known:
                return known[text]
        elif one is bool:
            if text.lower() in _YES_NO:
                return _YES_NO[text.lower()]
        else:
            try:
                return one(text)
            except ValueError:
                continue
    raise UsageError(f"{place} is '{text}', and it takes {' or '.join(_told(one) for one in wanted)}")


def _told(hint: Any) -> str:
    """A type in words."""
    if get_origin(hint) is Literal:
        return ", ".join(str(word) for word in get_args(hint))
    return {int: "a whole number", float: "a number", bool: "yes or no", str: "words"}[hint]
