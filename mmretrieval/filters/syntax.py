"""The parts of a filter, as values; the text of each is a filter that reads as the same parts again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Sign = Literal["=", "!=", "<", "<=", ">", ">="]
SIGNS: tuple[Sign, ...] = ("=", "!=", "<", "<=", ">", ">=")
WORDS = frozenset({"and", "or", "not", "in", "like", "is", "null", "between", "true", "false"})
PLAIN_NAME = re.compile(r"[^\W\d][\w-]*")


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day, as yyyy-mm-dd."""

    text: str

    def __str__(self) -> str:
        return f"DATE '{self.text}'"


Value: TypeAlias = str | int | float | bool | Day


@dataclass(frozen=True, slots=True)
class Field:
    """A column, or the way into the metadata, name by name."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join(_name(name) for name in self.path)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, a sign and a value."""

    field: Field
    sign: Sign
    value: Value

    def __str__(self) -> str:
        return f"{self.field} {self.sign} {_value(self.value)}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """IN; `values` is not empty."""

    field: Field
    values: tuple[Value, ...]

    def __str__(self) -> str:
        return f"{self.field} IN ({', '.join(map(_value, self.values))})"


@dataclass(frozen=True, slots=True)
class Like:
    """Text by a pattern, with % and _."""

    field: Field
    pattern: str

    def __str__(self) -> str:
        return f"{self.field} LIKE {_value(self.pattern)}"


@dataclass(frozen=True, slots=True)
class Between:
    """Both ends are of one kind, and belong to it."""

    field: Field
    low: Value
    high: Value

    def __str__(self) -> str:
        return f"{self.field} BETWEEN {_value(self.low)} AND {_value(self.high)}"


@dataclass(frozen=True, slots=True)
class IsNull:
    """The field is missing or null; the only condition that is never unknown."""

    field: Field

    def __str__(self) -> str:
        return f"{self.field} IS NULL"


@dataclass(frozen=True, slots=True)
class Not:
    """True for false and false for true; unknown stays unknown."""

    part: Expression

    def __str__(self) -> str:
        return f"NOT {_grouped(self.part, (And, Or))}"


@dataclass(frozen=True, slots=True)
class And:
    """Two parts or more."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " AND ".join(_grouped(part, (And, Or)) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """Two parts or more."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " OR ".join(_grouped(part, (Or,)) for part in self.parts)


Condition: TypeAlias = Comparison | OneOf | Like | Between | IsNull
Expression: TypeAlias = Condition | Not | And | Or


def conditions(expression: Expression) -> Iterator[Condition]:
    """Every comparison in it, from left to right."""
    if isinstance(expression, And | Or):
        for part in expression.parts:
            yield from conditions(part)
    elif isinstance(expression, Not):
        yield from conditions(expression.part)
    else:
        yield expression


def kind_of(value: Value) -> str:
    """What the value is: "text", "number", "truth" or "day"."""
    if isinstance(value, bool):
        return "truth"
    return "text" if isinstance(value, str) else "day" if isinstance(value, Day) else "number"


def _grouped(part: Expression, kinds: tuple[type, ...]) -> str:
    return f"({part})" if isinstance(part, kinds) else str(part)


def _name(name: str) -> str:
    if PLAIN_NAME.fullmatch(name) and name.lower() not in WORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
