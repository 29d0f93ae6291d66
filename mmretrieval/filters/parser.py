"""From the text of a filter to its parts, by recursive descent."""

from __future__ import annotations

import datetime as dt
import re

from mmretrieval.errors import FilterError
from mmretrieval.filters.syntax import (
    SIGNS,
    WORDS,
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
    Sign,
    Value,
    kind_of,
)
from mmretrieval.filters.tokens import Token, tokens

MAX_DEPTH = 12  # of parentheses and NOTs; bounds the recursion here and the stack of SQLite's parser
MAX_CONDITIONS = 200
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LARGEST = 2**63


def parse(text: str) -> Expression:
    """The parts of a filter; raises FilterError, which names the place, for anything that is none."""
    return _Parser(text).whole()


def both(first: str, second: str) -> str:
    """The filter that keeps what two filters keep; an empty one keeps everything."""
    if not first or not second or first == second:
        return first or second
    return str(And((parse(first), parse(second))))  # of the parts, since text could close another's parenthesis


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = tokens(text)
        self.at = 0
        self.depth = 0
        self.conditions = 0

    def whole(self) -> Expression:
        if self.next.kind == "end":
            raise FilterError("the filter is empty: give a condition, as in cuisine = 'thai', or leave it out", 0)
        found = self.any_of()
        if self.next.kind != "end":
            raise self.error("AND, OR or the end was expected")
        return found

    # Walking along the tokens

    @property
    def next(self) -> Token:
        return self.tokens[self.at]

    def take(self) -> Token:
        token = self.next
        self.at += token.kind != "end"
        return token

    def took(self, word: str) -> bool:
        """Steps over the word or sign if it is next."""
        token = self.next
        is_there = word in (token.word, token.text if token.kind == "sign" else "")
        self.at += is_there
        return is_there

    def need(self, word: str) -> None:
        if not self.took(word):
            raise self.error(f"{word.upper()} was expected")

    def error(self, wanted: str, token: Token | None = None) -> FilterError:
        token = token or self.next
        shown = token.text if len(token.text) <= 30 else token.text[:30] + "…"
        place = f"at character {token.start + 1}, {shown!r}" if token.kind != "end" else "at its end"
        return FilterError(f"the filter is not understood {place}: {wanted}", token.start)

    # Expressions

    def any_of(self) -> Expression:
        parts = [self.all_of()]
        while self.took("or"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all_of(self) -> Expression:
        parts = [self.negated()]
        while self.took("and"):
            parts.append(self.negated())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def negated(self) -> Expression:
        token = self.next
        if self.took("not"):
            self.deeper(token)
            found: Expression = Not(self.negated())
        elif self.took("("):
            self.deeper(token)
            found = self.any_of()
            self.need(")")
        else:
            return self.condition()
        self.depth -= 1
        return found

    def deeper(self, token: Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"it is nested more than {MAX_DEPTH} levels deep", token)

    def condition(self) -> Expression:
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise self.error(f"it has more than {MAX_CONDITIONS} conditions; IN takes many values at once")
        field = self.field()
        if self.took("is"):
            is_not = self.took("not")
            self.need("null")
            return Not(IsNull(field)) if is_not else IsNull(field)
        if self.took("not"):
            return Not(self.worded(field))
        sign = self.sign()
        if sign is None:
            return self.worded(field)
        token = self.next
        value = self.value()
        if isinstance(value, bool) and sign not in ("=", "!="):
            raise self.error("true and false have no order: use = or !=", token)
        return Comparison(field, sign, value)

    def sign(self) -> Sign | None:
        if self.next.text == "==":
            raise self.error("write = once")
        written = "!=" if self.next.text == "<>" else self.next.text
        for sign in SIGNS:
            if self.next.kind == "sign" and written == sign:
                self.take()
                return sign
        return None

    def worded(self, field: Field) -> Condition:
        """What may follow NOT as well: IN, LIKE and BETWEEN."""
        if self.took("in"):
            self.need("(")
            values = [self.value()]
            while self.took(","):
                values.append(self.value())
            self.need(")")
            return OneOf(field, tuple(values))
        if self.took("like"):
            if self.next.kind not in ("text", "quoted"):
                raise self.error("LIKE takes a pattern in quotes, as in '%sea%'")
            return Like(field, self.take().content)
        if self.took("between"):
            return self.between(field)
        if self.next.word == "contains":
            raise self.error(f"a list is asked for a member by =, and text for a part by LIKE: {field} = 'value'")
        raise self.error("a comparison was expected: = != < <= > >= IN LIKE BETWEEN IS NULL")

    def between(self, field: Field) -> Between:
        token = self.next
        low = self.value()
        self.need("and")
        high = self.value()
        if kind_of(low) != kind_of(high) or isinstance(low, bool):
            raise self.error("BETWEEN takes two numbers, two texts or two days", token)
        return Between(field, low, high)

    # Fields and values

    def field(self) -> Field:
        path = [self.name()]
        while self.took("."):
            path.append(self.name())
        return Field(tuple(path))

    def name(self) -> str:
        token = self.next
        if token.kind == "quoted":
            return self.take().content
        if token.kind == "name" and token.word not in WORDS:
            return self.take().text
        if token.kind in ("text", "number") or token.word in ("true", "false", "null"):
            raise self.error("a comparison begins with a field, and its value comes behind the sign")
        raise self.error("a field was expected")

    def value(self) -> Value:
        token = self.next
        if token.kind in ("text", "quoted"):
            return self.take().content
        if token.kind == "number":
            return _number(self.take(), self)
        if token.word in ("true", "false"):
            return self.take().word == "true"
        if token.word == "null":
            raise self.error("nothing equals null: use IS NULL or IS NOT NULL")
        if token.word == "date":
            self.take()
            return self.day()
        cure = f": text stands in quotes, as in '{token.text}'" if token.kind == "name" else ""
        raise self.error(f"a value was expected{cure}")

    def day(self) -> Day:
        token = self.next
        text = token.content if token.kind in ("text", "quoted") else ""
        try:
            if not _DAY.fullmatch(text):
                raise ValueError("not yyyy-mm-dd")
            dt.date.fromisoformat(text)
        except ValueError:
            raise self.error("DATE takes a day of the calendar as 'yyyy-mm-dd'") from None
        self.take()
        return Day(text)


def _number(token: Token, parser: _Parser) -> int | float:
    if re.fullmatch(r"[+-]?\d+", token.text) and abs(int(token.text)) < _LARGEST:
        return int(token.text)
    number = float(token.text)
    if number in (float("inf"), float("-inf")):
        raise parser.error("the number is too large", token)
    return number
