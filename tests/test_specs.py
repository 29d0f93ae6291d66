"""NAME:key=value: what is understood, and what is refused with the way to write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mmretrieval import registry
from mmretrieval.errors import UsageError
from mmretrieval.refiners.superglobal import SuperGlobal
from mmretrieval.specs import make, parse_spec, usual

if TYPE_CHECKING:
    from mmretrieval.segments import Rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grid", ("grid", {})),
        ("grid:", ("grid", {})),
        (" grid : depth = 3 , marks=no", ("grid", {"depth": "3", "marks": "no"})),
        ("grid:model=org/name:tag", ("grid", {"model": "org/name:tag"})),
        ("grid:title=", ("grid", {"title": ""})),
    ],
)
def test_a_name_and_its_settings_are_parted(text, expected):
    assert parse_spec(text) == expected


@pytest.mark.parametrize("text", ["", ":depth=3", "grid:depth", "grid:=3", "grid:a=1,,b=2", "grid:a=1,a=2"])
def test_what_cannot_be_read_is_refused(text):
    with pytest.raises(UsageError, match=r"names no method|not understood|twice"):
        parse_spec(text)


def test_what_can_be_set_is_told_with_its_usual_values_as_they_are_written():
    told = usual("rerankers", "pointwise")
    assert {name: told[name] for name in ("depth", "answer", "alpha", "join", "parts")} == {
        "depth": "20",
        "answer": "yes",
        "alpha": "0.5",
        "join": "z",
        "parts": "no",
    }
    assert usual("rerankers", "grid")["cell"] == "none"
    assert usual("indexes", "exact") == {}
    assert "ask" not in usual("rewriters", "decompose")  # the program's own decision


@pytest.mark.parametrize("name", registry.names("rerankers"))
def test_the_usual_values_can_be_given(name):
    settings = ",".join(f"{key}={value}" for key, value in usual("rerankers", name).items())
    given = {"encoder": None, "collection": None, "open_encoder": None}
    made, plain = make("rerankers", f"{name}:{settings}", **given), make("rerankers", name, **given)
    kept = [vars(each).keys() - {"likeness", "_opening"} for each in (made, plain)]
    assert {key: vars(made)[key] for key in kept[0]} == {key: vars(plain)[key] for key in kept[1]}


def test_a_word_that_reads_none_is_that_word_where_it_is_one_of_the_choices():
    assert make("rerankers", "first_token:correct=none").correct == "none"


def test_settings_become_arguments_of_the_constructor():
    made = make("refiners", "superglobal:form=full,shortlist=50,beta=0.5")
    assert isinstance(made, SuperGlobal)
    assert (made.form, made.depth, made.neighbours, made.beta) == ("full", 50, 9, 0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("magic", "there is no 'magic' among the refiners"),
        ("superglobal:depth=3", "no setting 'depth': its settings are form, shortlist, neighbours, beta, gap"),
        ("superglobal:shortlist=many", "superglobal:shortlist is 'many', and it takes a whole number"),
        ("superglobal:beta=wide", "it takes a number"),
        ("superglobal:form=half", "it takes dba, full"),
        ("superglobal:beta=-1", "a beta of 0 or more"),
        ("superglobal:shortlist=0", "a shortlist of 1 or more"),
        ("superglobal:gap=nan", "a gap between 0 and 1"),
    ],
)
def test_a_wrong_name_or_value_is_one_sentence(text, told):
    with pytest.raises(UsageError, match=told.replace("(", r"\(")):
        make("refiners", text)


class Rich:
    """Takes all that can be written, and two things that cannot."""

    def __init__(self, encoder: object, depth: int | None = 20, loud: bool = False, name: str = "", rows: Rows = ()):
        self.given = (encoder, depth, loud, name, rows)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("rich", ("E", 20, False, "", ())),
        ("rich:depth=none,loud=yes", ("E", None, True, "", ())),
        ("rich:depth=5,loud=False,name=a:b", ("E", 5, False, "a:b", ())),
    ],
)
def test_every_plain_type_can_be_written_and_the_rest_is_given_by_the_program(monkeypatch, text, given):
    monkeypatch.setattr("mmretrieval.registry.load", lambda kind, name: Rich)
    assert make("refiners", text, encoder="E", collection="unwanted").given == given


@pytest.mark.parametrize("text", ["rich:encoder=x", "rich:rows=1", "rich:loud=maybe", "rich:depth=1.5"])
def test_what_is_no_plain_type_cannot_be_written(monkeypatch, text):
    monkeypatch.setattr("mmretrieval.registry.load", lambda kind, name: Rich)
    with pytest.raises(UsageError, match=r"no setting|it takes"):
        make("refiners", text, encoder="E")
