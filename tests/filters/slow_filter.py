"""What a filter means, told one record at a time in plain Python: the twin of the SQL."""

import json
import re

from mmretrieval.filters.syntax import And, Between, Comparison, Day, IsNull, Like, Not, OneOf, Or

NUMBER = re.compile(r"[ \t\n\r]*-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?[ \t\n\r]*")


def truth(expression, record):
    """True, False or None for unknown."""
    if isinstance(expression, And):
        parts = [truth(part, record) for part in expression.parts]
        return False if False in parts else None if None in parts else True
    if isinstance(expression, Or):
        parts = [truth(part, record) for part in expression.parts]
        return True if True in parts else None if None in parts else False
    if isinstance(expression, Not):
        part = truth(expression.part, record)
        return None if part is None else not part
    value = look_up(expression.field, record)
    if isinstance(expression, IsNull):
        return value is None
    if isinstance(value, list):
        return any_of([holds(expression, member) for member in value])
    return holds(expression, value)


def look_up(field, record):
    if field.path in (("id",), ("path",), ("caption",)):
        return record[field.path[0]] or (None if field.path == ("caption",) else "")
    value = record["meta"]
    for name in field.path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def any_of(parts):
    return True if True in parts else None if None in parts else False


def holds(condition, value):
    """One condition about one value that is no list."""
    if isinstance(condition, OneOf):
        return any_of([compare(value, "=", given) for given in condition.values])
    if isinstance(condition, Between):
        ends = compare(value, ">=", condition.low), compare(value, "<=", condition.high)
        return False if False in ends else None if None in ends else True
    if isinstance(condition, Like):
        return like(value, condition.pattern) if isinstance(value, str) else None
    assert isinstance(condition, Comparison)
    return compare(value, condition.sign, condition.value)


def compare(value, sign, given):
    value, given = worth(value, given), given.text if isinstance(given, Day) else given
    if value is None:
        return None
    return {
        "=": value == given,
        "!=": value != given,
        "<": value < given,
        "<=": value <= given,
        ">": value > given,
        ">=": value >= given,
    }[sign]


def worth(value, given):
    """The value as something that can be compared with what is given, or None."""
    if isinstance(given, bool):
        return (
            value
            if isinstance(value, bool)
            else {"true": True, "false": False}.get(str(value).lower())
            if isinstance(value, str)
            else None
        )
    if isinstance(given, int | float):
        if isinstance(value, str) and NUMBER.fullmatch(value):
            return json.loads(value)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if not isinstance(value, str):
        return None
    if isinstance(given, Day):
        match = re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?=$|[T ])", value)
        return match.group() if match and (len(value) == 10 or value[10] in "T ") else None
    return value


def like(value, pattern):
    """% is anything, _ one letter, a backslash takes the next letter as it is; A to Z as a to z."""
    out, at = "", 0
    while at < len(pattern):
        letter = pattern[at]
        if letter == "\\":
            at += 1
            if at == len(pattern):
                return False
            out += re.escape(fold(pattern[at]))
        else:
            out += {"%": ".*", "_": "."}.get(letter) or re.escape(fold(letter))
        at += 1
    return re.fullmatch(out, fold(value), re.DOTALL) is not None


def fold(text):
    return "".join(letter.lower() if "A" <= letter <= "Z" else letter for letter in text)
