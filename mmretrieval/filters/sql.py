"""A filter as SQL over the catalogue's records: every name and value in it is a bound parameter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from string import Formatter
from typing import Any, NamedTuple

from mmretrieval.errors import UsageError
from mmretrieval.filters.syntax import (
    And,
    Between,
    Comparison,
    Condition,
    Day,
    Expression,
    Field,
    IsNull,
    Like,
    Not,
    OneOf,
    Or,
    Value,
    kind_of,
)

COLUMNS = ("id", "path", "caption")


class Sql(NamedTuple):
    """A piece of SQL with the values of its question marks, in their order."""

    text: str
    values: tuple[Any, ...] = ()


# What a value is worth for a comparison with each kind of literal, NULL where they cannot be compared. {t} is the
# JSON type of the value and {v} the value itself. JSON's own grammar decides which text spells a number.
_WORTH = {
    "text": "CASE {t} WHEN 'text' THEN {v} END",
    "number": "CASE {t} WHEN 'integer' THEN {v} WHEN 'real' THEN {v} WHEN 'text' THEN "
    "CASE WHEN json_valid({v}) THEN CASE WHEN json_type({v}) IN ('integer', 'real') THEN json_extract({v}, '$') END "
    "END END",
    "truth": "CASE {t} WHEN 'true' THEN 1 WHEN 'false' THEN 0 WHEN 'text' THEN "
    "CASE lower({v}) WHEN 'true' THEN 1 WHEN 'false' THEN 0 END END",
    "day": "CASE {t} WHEN 'text' THEN CASE WHEN {v} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]' "
    "OR {v} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][T ]*' THEN substr({v}, 1, 10) END END",
}
# true when it is for one member, else unknown when it is for one member, else false
_OF_A_LIST = (
    "(SELECT CASE WHEN max(c) = 1 THEN 1 WHEN count(c) < count(*) THEN NULL ELSE 0 END "
    "FROM (SELECT {test} AS c FROM json_each(meta, {path}) AS member))"
)
_MEMBER = Sql("member.type"), Sql("member.atom")


def compiled(expression: Expression) -> Sql:
    """A condition on the table `records`, for a WHERE; raises UsageError for a name that JSON paths cannot hold."""
    if isinstance(expression, And | Or):
        word = " AND " if isinstance(expression, And) else " OR "
        return _joined(word, [compiled(part) for part in expression.parts])
    if isinstance(expression, Not):
        return _filled("(NOT {part})", part=compiled(expression.part))
    if isinstance(expression, IsNull):
        return _is_null(expression.field)
    return _condition(expression)


def json_path(field: Field) -> str:
    """As SQLite wants it; raises UsageError for names that it cannot tell from others."""
    for name in field.path:
        if any(character in '"\\' or ord(character) < 32 for character in name):
            raise UsageError(
                f"the field {name!r} holds quotes, backslashes or control characters and cannot be filtered by: give "
                "it another name in the manifest"
            )
    return "$" + "".join(f'."{name}"' for name in field.path)


def _column(field: Field) -> Sql | None:
    if len(field.path) != 1 or field.path[0] not in COLUMNS:
        return None
    return Sql("nullif(caption, '')" if field.path[0] == "caption" else field.path[0])


def _is_null(field: Field) -> Sql:
    column = _column(field)
    if column is not None:
        return _filled("({column} IS NULL)", column=column)
    return _filled("(coalesce(json_type(meta, {path}), 'null') = 'null')", path=_bound(json_path(field)))


def _condition(condition: Condition) -> Sql:
    column = _column(condition.field)
    if column is not None:
        return _filled("({test})", test=_test(condition, Sql("'text'"), column))
    path = _bound(json_path(condition.field))
    return _filled(
        "(CASE json_type(meta, {path}) WHEN 'array' THEN {members} ELSE {test} END)",
        path=path,
        members=_filled(_OF_A_LIST, test=_test(condition, *_MEMBER), path=path),
        test=_test(
            condition, _filled("json_type(meta, {path})", path=path), _filled("json_extract(meta, {path})", path=path)
        ),
    )


def _test(condition: Condition, type_: Sql, value: Sql) -> Sql:
    """The condition for one value that is no list."""

    def worth(kind: str) -> Sql:
        return _filled(_WORTH[kind], t=type_, v=value)

    if isinstance(condition, Comparison):
        worth_it = worth(kind_of(condition.value))
        return _filled(
            "({worth} " + condition.sign + " {value})", worth=worth_it, value=_bound(_plain(condition.value))
        )
    if isinstance(condition, Between):
        low, high = _bound(_plain(condition.low)), _bound(_plain(condition.high))
        return _filled("({worth} BETWEEN {low} AND {high})", worth=worth(kind_of(condition.low)), low=low, high=high)
    if isinstance(condition, Like):
        return _filled("({worth} LIKE {pattern} ESCAPE '\\')", worth=worth("text"), pattern=_bound(condition.pattern))
    assert isinstance(condition, OneOf), "IS NULL is told elsewhere"
    kinds = sorted({kind_of(value) for value in condition.values})
    return _joined(" OR ", [_among(worth(kind), [v for v in condition.values if kind_of(v) == kind]) for kind in kinds])


def _among(worth: Sql, values: Sequence[Value]) -> Sql:
    """One parameter for all values, so that their number has no limit of SQLite's."""
    listed = json.dumps([_plain(value) for value in values])
    return _filled("({worth} IN (SELECT value FROM json_each({listed})))", worth=worth, listed=_bound(listed))


def _plain(value: Value) -> str | int | float:
    return value.text if isinstance(value, Day) else int(value) if isinstance(value, bool) else value


def _bound(value: str | float) -> Sql:
    return Sql("?", (value,))


def _joined(word: str, pieces: Sequence[Sql]) -> Sql:
    text = word.join(piece.text for piece in pieces)
    return Sql(f"({text})", tuple(value for piece in pieces for value in piece.values))


def _filled(template: str, **pieces: Sql) -> Sql:
    """The template with pieces in it, and their values in the order in which they stand there."""
    text: list[str] = []
    values: list[Any] = []
    for literal, name, _, _ in Formatter().parse(template):
        text.append(literal)
        if name is not None:
            text.append(pieces[name].text)
            values.extend(pieces[name].values)
    return Sql("".join(text), tuple(values))
