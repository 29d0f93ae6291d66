"""The public surface is a list, and this guards it."""

import ast
import inspect
from pathlib import Path

import pytest

import mmretrieval


def test_the_public_names_are_few_and_sorted():
    assert mmretrieval.__all__ == sorted(mmretrieval.__all__, key=lambda name: (not name[0].isupper(), name))
    assert len(mmretrieval.__all__) <= 20


@pytest.mark.parametrize("name", mmretrieval.__all__)
def test_a_public_name_can_be_used_and_says_what_it_is(name):
    thing = getattr(mmretrieval, name)
    assert inspect.getdoc(thing)
    assert thing is getattr(mmretrieval, name)


def test_type_checkers_see_the_same_names_as_programs():
    module = ast.parse(Path(mmretrieval.__file__).read_text("utf-8"))
    [block] = [node for node in module.body if isinstance(node, ast.If)]
    seen = {alias.name for node in block.body for alias in node.names}
    assert seen == set(mmretrieval.__all__)


def test_dir_lists_the_public_names():
    assert set(mmretrieval.__all__) <= set(dir(mmretrieval))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mmretrieval.nothing
