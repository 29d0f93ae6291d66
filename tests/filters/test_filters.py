"""Filters: random ones against a slow twin, the way back from text, and what hostile text can do."""

import json
import sqlite3

import pytest
from filters.slow_filter import truth
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mmretrieval.errors import FilterError, UsageError
from mmretrieval.filters.parser import both, parse
from mmretrieval.filters.sql import compiled
from mmretrieval.filters.syntax import And, Between, Comparison, Day, Field, IsNull, Like, Not, OneOf, Or, kind_of

NAMES = ("cuisine", "stars", "tags", "taken", "camera", "maker", "a b", "x.y", "date", "größe", "select", "or", "")
WORDS = ("thai", "Thai", "it's", 'say "hi"', "100%", "a_b", "12", "-0.5", "1e3", "007", "true", "FALSE", "", "é", "\\")
DAYS = ("2024-06-01", "2024-06-02", "1999-12-31")
TIMES = ("2024-06-01", "2024-06-01T23:30-05:00", "2024-06-02 00:00", "2024-06-011", "1999-12-31")

texts = st.sampled_from((*WORDS, *TIMES)) | st.text(
    st.characters(blacklist_categories=["Cs"], min_codepoint=1), max_size=4
)
numbers = st.integers(-3, 3) | st.sampled_from((12, 1000, 2**62, 0.5, -0.5, 0.1, 1e300)) | st.integers(-(2**62), 2**62)
scalars = texts | numbers | st.booleans() | st.none()
values = scalars | st.lists(scalars, max_size=3)
metas = st.dictionaries(st.sampled_from(NAMES), values | st.dictionaries(st.sampled_from(NAMES), values, max_size=3))
records = st.fixed_dictionaries({"id": texts, "path": texts, "caption": texts, "meta": metas})

fields = st.builds(
    Field,
    st.sampled_from([("id",), ("path",), ("caption",)])
    | st.lists(st.sampled_from(NAMES), min_size=1, max_size=2).map(tuple),
)
days = st.sampled_from(DAYS).map(Day)
literals = texts | numbers | days
patterns = texts | st.text("aAé%_\\", max_size=5)
conditions = (
    st.builds(Comparison, fields, st.sampled_from(("=", "!=", "<", "<=", ">", ">=")), literals)
    | st.builds(Comparison, fields, st.sampled_from(("=", "!=")), st.booleans())
    | st.builds(OneOf, fields, st.lists(literals | st.booleans(), min_size=1, max_size=3).map(tuple))
    | st.builds(Like, fields, patterns)
    | st.builds(
        lambda f, ends: Between(f, *ends),
        fields,
        st.tuples(numbers, numbers) | st.tuples(texts, texts) | st.tuples(days, days),
    )
    | st.builds(IsNull, fields)
)
several = lambda parts: st.lists(parts, min_size=2, max_size=3).map(tuple)  # noqa: E731
expressions = st.recursive(
    conditions,
    lambda parts: st.builds(Not, parts) | st.builds(And, several(parts)) | st.builds(Or, several(parts)),
    max_leaves=6,
)


def matched(expression, rows):
    """Numbers of the rows that SQLite keeps."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE records (number INTEGER PRIMARY KEY, id TEXT, path TEXT, caption TEXT, meta TEXT)")
    for number, row in enumerate(rows):
        meta = json.dumps(row["meta"], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        connection.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?)", (number, row["id"], row["path"], row["caption"], meta)
        )
    sql = compiled(expression)
    found = connection.execute(f"SELECT number FROM records WHERE {sql.text} ORDER BY number", sql.values).fetchall()
    connection.close()
    return [number for (number,) in found]


@given(expressions, st.lists(records, max_size=6))
@settings(max_examples=250)
def test_a_filter_keeps_what_the_slow_twin_calls_true(expression, rows):
    assert matched(expression, rows) == [number for number, row in enumerate(rows) if truth(expression, row) is True]


@given(expressions, st.lists(records, min_size=1, max_size=4))
@settings(max_examples=150)
def test_the_opposite_of_a_filter_keeps_what_the_slow_twin_calls_false(expression, rows):
    assert matched(Not(expression), rows) == [n for n, row in enumerate(rows) if truth(expression, row) is False]


@given(expressions)
@settings(max_examples=150)
def test_the_text_of_a_filter_reads_as_the_same_filter(expression):
    again = parse(str(expression))
    assert again == expression
    assert [kind_of(v) for v in literals_of(again)] == [kind_of(v) for v in literals_of(expression)]


def literals_of(expression):
    if isinstance(expression, And | Or):
        return [value for part in expression.parts for value in literals_of(part)]
    if isinstance(expression, Not):
        return literals_of(expression.part)
    if isinstance(expression, OneOf):
        return list(expression.values)
    return [getattr(expression, name) for name in ("value", "low", "high") if hasattr(expression, name)]


@given(st.text(max_size=60) | st.text("ab=<>!'\"().,%_ \\-0123456789;ANDORNTILKEbw", max_size=60))
@example("a = 1; DROP TABLE records")
@settings(max_examples=250)
def test_any_text_is_read_or_refused_with_its_place(text):
    try:
        expression = parse(text)
    except FilterError as error:
        refused = error
    else:
        assert parse(str(expression)) == expression
        return
    assert 0 <= refused.position <= len(text)
    assert str(refused).startswith("the filter ")


@given(st.text(st.characters(blacklist_categories=["Cs"], min_codepoint=1), max_size=40))
@example("' OR '1'='1")
@example("x'; DROP TABLE records; --")
@example("'') UNION SELECT value FROM meta --")
@example('$.")')
@example("?1 :a @b $c {v} {t} %s")
@settings(max_examples=150)
def test_hostile_values_and_names_are_data_and_nothing_else(text):
    rows = [
        {"id": "1", "path": "p", "caption": text, "meta": {"a": text}},
        {"id": "2", "path": "p", "caption": "no", "meta": {"a": "no"}},
    ]
    for field in (("a",), ("caption",)):
        if not (field == ("caption",) and not text):
            wanted = Comparison(Field(field), "=", text)
            assert compiled(wanted).text == compiled(Comparison(Field(field), "=", "x")).text
            assert matched(parse(str(wanted)), rows) == [0] + [1] * (text == "no")
    unknown = Comparison(Field(("a", text)), "=", "x")
    try:
        sql = compiled(parse(str(unknown)))
    except UsageError:
        assert any(letter in '"\\' or ord(letter) < 32 for letter in text)
    else:
        assert sql.text == compiled(Comparison(Field(("a", "b")), "=", "c")).text
        assert matched(unknown, rows) == []


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("", 0, "empty"),
        ("cuisine = thai", 10, "text stands in quotes, as in 'thai'"),
        ("cuisine = ", 10, "at its end: a value was expected"),
        ("cuisine 'thai'", 8, "a comparison was expected"),
        ("cuisine = 'thai", 10, "never closes it"),
        ("cuisine == 'thai'", 8, "write = once"),
        ("cuisine = null", 10, "IS NULL"),
        ("'thai' = cuisine", 0, "begins with a field"),
        ("a = 1 b = 2", 6, "AND, OR or the end was expected"),
        ("(a = 1", 6, ") was expected"),
        ("a = 1)", 5, "AND, OR or the end was expected"),
        ("a IN ()", 6, "a value was expected"),
        ("a IN 1", 5, "( was expected"),
        ("a NOT = 1", 6, "a comparison was expected"),
        ("a LIKE 5", 7, "a pattern in quotes"),
        ("a BETWEEN 1 AND 'b'", 10, "two numbers, two texts or two days"),
        ("a > true", 4, "no order"),
        ("a = DATE '2024-02-30'", 9, "a day of the calendar"),
        ("a = DATE 2024", 9, "a day of the calendar"),
        ("tags CONTAINS 'sea'", 5, "tags = 'value'"),
        ("a = 1e999", 4, "too large"),
        ("a = 5; DROP TABLE records", 5, "';'"),
        ("NOT", 3, "a field was expected"),
        ("a. = 1", 3, "a field was expected"),
        ("$a = 1", 0, "'$a'"),
    ],
    ids=lambda value: str(value) or "nothing",
)
def test_a_mistake_is_told_with_its_place(text, position, said):
    with pytest.raises(FilterError) as told:
        parse(text)
    assert told.value.position == position
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a=1 or b=2 and c=3", "a = 1 OR b = 2 AND c = 3"),
        ("(a=1 OR b=2) and not c<>3", "(a = 1 OR b = 2) AND NOT c != 3"),
        ("a not in (1, 'x')", "NOT a IN (1, 'x')"),
        ("a IS NOT NULL", "NOT a IS NULL"),
        ('A = "it\'s"', "A = 'it''s'"),
        ('"or" = 1', '"or" = 1'),
        (
            "date between date '2024-01-01' and DATE '2024-12-31'",
            "date BETWEEN DATE '2024-01-01' AND DATE '2024-12-31'",
        ),
        ("größe >= -.5", "größe >= -0.5"),
        ('camera."f.number" < 2.', 'camera."f.number" < 2.0'),
    ],
)
def test_a_filter_is_understood_as(text, same):
    assert str(parse(text)) == same


def test_depth_length_and_number_of_conditions_are_bounded():
    for text, said in (
        ("(" * 13 + "a = 1" + ")" * 13, "nested"),
        ("NOT " * 13 + "a = 1", "nested"),
        ("a = '" + "x" * 10_000 + "'", "10000"),
        (" OR ".join(["a = 1"] * 201), "200 conditions"),
    ):
        with pytest.raises(FilterError, match=said):
            parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "NOT " * 12 + "tags = 1",
        "(" * 12 + "tags = 1" + ")" * 12,
        "NOT (" * 6 + " AND ".join(["tags = 1"] * 199) + " OR tags LIKE '3'" + ")" * 6,
        "a != 2 AND (a IS NULL OR (" * 6 + "tags IN (1, 'x', true, DATE '2024-01-01')" + "))" * 6,
        "NOT (a = 2 OR NOT (a = 3 AND " * 3 + "tags BETWEEN DATE '2024-01-01' AND DATE '2024-02-01'" + "))" * 3,
        f"a IN ({', '.join(map(str, range(1800)))})",
    ],
    ids=["NOTs", "parentheses", "many conditions", "AND and OR", "NOT in NOT", "many values"],
)
def test_what_is_within_the_bounds_is_searched(text):
    expression = parse(text)
    rows = [
        {"id": "1", "path": "", "caption": "", "meta": meta} for meta in ({"a": 1, "tags": [1, "3", "2024-01-05"]}, {})
    ]
    assert matched(expression, rows) == [number for number, row in enumerate(rows) if truth(expression, row)]


def test_two_filters_become_one_that_neither_can_escape():
    assert both("", "a = 1") == both("a = 1", "") == both("a = 1", "a = 1") == "a = 1"
    assert both("a = 1 OR b = 2", "c = 3") == "(a = 1 OR b = 2) AND c = 3"
    with pytest.raises(FilterError):
        both("a = 1", "b = 2) OR (c = 3")
