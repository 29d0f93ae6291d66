"""The file name is the registry; other packages join by entry points."""

import sys

import pytest

from mmretrieval import registry
from mmretrieval.errors import MissingExtra, MissingPrerequisite, MMRetrievalError, UsageError
from mmretrieval.protocols import Index


def test_every_kind_can_be_listed_without_loading_a_method():
    before = set(sys.modules)
    listed = {kind: registry.names(kind) for kind in registry.KINDS}
    assert {"exact", "pq"} <= set(listed["indexes"])
    assert all(names == sorted(names) for names in listed.values())
    assert not any(name.startswith("_") for names in listed.values() for name in names)
    assert {name for name in set(sys.modules) - before if name.startswith("mmretrieval.")} == set()


def test_a_name_leads_to_the_class_in_its_file():
    found = registry.load("indexes", "exact")
    assert issubclass(found, Index)
    assert (found.__module__, found.name) == ("mmretrieval.indexes.exact", "exact")


@pytest.mark.parametrize("kind", registry.KINDS)
def test_every_listed_name_can_be_loaded(kind):
    for name in registry.names(kind):
        assert registry.load(kind, name).name == name


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(
        UsageError, match=r"there is no 'magic' among the indexes: choose one of: .*exact, .*hnsw, ivf, pq"
    ):
        registry.load("indexes", "magic")


def test_an_unknown_kind_is_told_with_the_known_ones():
    with pytest.raises(UsageError, match="there is no kind 'cats': choose one of: encoders, indexes"):
        registry.names("cats")


@pytest.fixture
def other_package(tmp_path, monkeypatch):
    """An installed package with entry points, written from a mapping of module text."""

    def install(text, entries):
        (tmp_path / "other_methods.py").write_text(text)
        info = tmp_path / "other_methods-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-methods\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[mmretrieval.rerankers]\n{entries}\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    yield install
    sys.modules.pop("other_methods", None)


RERANKER = """
from mmretrieval.stages import Reranker
class Other(Reranker):
    def rerank(self, query, candidates):
        return []
"""


@pytest.mark.parametrize("entry", ["other = other_methods", "other = other_methods:Other"], ids=["module", "class"])
def test_another_package_joins_by_an_entry_point(other_package, entry):
    other_package(RERANKER, entry)
    assert "other" in registry.names("rerankers")
    assert registry.load("rerankers", "other").__name__ == "Other"


def test_a_missing_package_is_named_with_the_extra_that_brings_it(other_package, monkeypatch):
    other_package("import pyarrow\n" + RERANKER, "other = other_methods")
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as if it were not installed
    with pytest.raises(MissingExtra, match=r"'other' in rerankers needs the package 'pyarrow'.*mmretrieval\[scale\]"):
        registry.load("rerankers", "other")


def test_a_broken_package_is_told_from_a_missing_one(other_package):
    other_package("from json import nothing_of_that_name\n" + RERANKER, "other = other_methods")
    with pytest.raises(MissingPrerequisite, match="'other' in rerankers cannot be loaded, since a package it needs is"):
        registry.load("rerankers", "other")


@pytest.mark.parametrize("text", ["", RERANKER + RERANKER.replace("Other", "Another")], ids=["none", "two"])
def test_a_module_must_hold_exactly_one_method(other_package, text):
    other_package(text, "other = other_methods")
    with pytest.raises(MMRetrievalError, match="must define exactly one extension class"):
        registry.load("rerankers", "other")
