"""What a form takes and refuses, and what it means: no letter of a request reaches a file or a model's name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mmretrieval.errors import UsageError
from mmretrieval.web.command import command_line
from mmretrieval.web.form import FARTHEST, MOST_HITS, Fuse, SearchForm
from mmretrieval.web.links import LONGEST, UPLOAD_LEFT_OUT, from_link, to_link

TOKEN = "t" * 24


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", "x" * 1001),
        ("text", "nul \0"),
        ("image", "../../etc/passwd"),
        ("image_id", ""),
        ("weights", {"text": float("nan")}),
        ("weights", {"text": 1e6}),
        ("weights", {"path": 1}),
        ("minus", [" "]),
        ("minus", ["x"] * 9),
        ("like", ["x"] * 101),
        ("compose", "mean"),
        ("filter", "x" * 2001),
        ("hybrid", "sum"),
        ("fuse", {"image": -1}),
        ("fuse", {"image": 1, "how": "early"}),
        ("rerank", ["grid"] * 4),
        ("rerank", ["second_encoder:model=local-dir:/etc"]),
        ("rerank", ["second_encoder:model=hub/name"]),
        ("rerank", ["grid:depth=3:more"]),
        ("rewrite", ["../decompose"]),
        ("collapse", 0),
        ("collapse", 1.5),
        ("cutoff", 1),
        ("top_k", 0),
        ("top_k", MOST_HITS + 1),
        ("offset", -1),
        ("offset", FARTHEST + 1),
        ("max_calls", 10**6),
        ("max_seconds", float("inf")),
        ("path", "/etc/passwd"),
    ],
)
def test_a_form_refuses_what_is_out_of_its_bounds(field, value):
    with pytest.raises(ValidationError, match=field):
        SearchForm.model_validate({"text": "soup", field: value})


@pytest.mark.parametrize("given", [{}, {"text": "  "}, {"minus": ["rice"]}, {"unlike": ["a"]}, {"filter": "x = 1"}])
def test_a_form_without_anything_to_look_for_says_so(given):
    form = SearchForm.model_validate(given)
    assert form.is_empty
    with pytest.raises(UsageError, match="nothing to search for"):
        form.query()


def test_weights_and_operators_of_what_is_not_there_are_left_aside():
    alone = SearchForm(text="soup", weights={"text": 0.0, "image": 0.3}, compose="slerp")
    assert (alone.used_weights, alone.used_compose) == ({}, "sum")
    both = SearchForm(text="soup", image_id="a", weights={"text": 0.2, "image": 0.3, "like": 1}, compose="slerp")
    assert (both.used_weights, both.used_compose) == ({"text": 0.2, "image": 0.3}, "slerp")
    assert dict(both.query().weights) == {"text": 0.2, "image": 0.3}


def test_the_same_example_twice_is_one_example():
    assert SearchForm(like=("a", "b", "a")).query().like == ("a", "b")


def test_forms_with_equal_settings_share_what_is_opened_for_them():
    one = SearchForm(text="a", fuse=Fuse(image=0.5, caption=0.5), rerank=("grid",), top_k=3)
    other = SearchForm(image_id="b", fuse=Fuse(image=0.5, caption=0.5), rerank=("grid",), offset=9)
    assert one.settings == other.settings
    assert one.settings != SearchForm(text="a", fuse=Fuse(image=0.4, caption=0.6), rerank=("grid",)).settings


def test_the_command_line_quotes_what_a_shell_would_run():
    form = SearchForm(text="$(rm -rf /); 'soup'", filter="id = '`id`'", minus=("a b",))
    line = command_line(form, "my index")
    assert line == (
        """mmretrieval search --index 'my index' --minus 'a b' --filter 'id = '"'"'`id`'"'"'' --top-k 24 """
        """-- '$(rm -rf /); '"'"'soup'"'"''"""
    )


def test_a_link_of_plain_words_is_short_and_holds_no_default():
    assert to_link(SearchForm(text="red fox", top_k=24, offset=48)) == "text=red+fox"


def test_a_link_to_an_upload_says_that_the_picture_is_missing():
    link = to_link(SearchForm(text="in red", image=TOKEN))
    assert TOKEN not in link
    assert from_link(link) == (SearchForm(text="in red"), (UPLOAD_LEFT_OUT,))


def test_a_search_too_long_for_an_address_is_refused_with_the_cure():
    with pytest.raises(UsageError, match="too much for a link"):
        to_link(SearchForm(like=tuple(f"{number}" * 90 for number in range(100, 200))))


@pytest.mark.parametrize(
    "link", ["text=x&top_k=0", "like=%5B1", "weights=%7B%22text%22%3A%22x%22%7D", f"like={'[' * 5000}", "top_k=soup"]
)
def test_a_link_that_was_changed_is_refused_with_a_sentence(link):
    with pytest.raises(UsageError, match="the link is not understood"):
        from_link(link)


def test_an_image_token_in_a_link_is_not_taken():
    assert from_link(f"text=x&image={TOKEN}")[0].image is None


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
forms = st.builds(
    SearchForm,
    text=words,
    image_id=st.none() | words.filter(bool),
    weights=st.dictionaries(st.sampled_from(["text", "image", "like"]), st.floats(-100, 100)),
    minus=st.lists(words.map(str.strip).filter(bool), max_size=3).map(tuple),
    like=st.lists(words.filter(bool), max_size=3).map(tuple),
    compose=st.sampled_from(["sum", "slerp", "product"]),
    filter=words,
    fuse=st.none() | st.builds(Fuse, image=st.floats(0, 100), caption=st.floats(0, 100)),
    hybrid=st.sampled_from([None, "rrf", "blend"]),
    rerank=st.sampled_from([(), ("grid",), ("grid:depth=4,rows=2", "pointwise")]),
    collapse=st.booleans() | st.floats(0.01, 1),
    cutoff=st.booleans() | st.floats(0.01, 0.99),
    top_k=st.integers(1, MOST_HITS),
)


@settings(max_examples=40)
@given(form=forms)
def test_any_form_comes_back_from_its_link(form):
    link = to_link(form)
    assert len(link) <= LONGEST
    assert from_link(link) == (form, ())
