"""Presets: what comes with the package is sound, and a wrong file is told in one sentence."""

import inspect
import re

import pytest
from store_samples import SketchEncoder, save

import mmretrieval as mm
from mmretrieval import registry
from mmretrieval.captions import encode_captions
from mmretrieval.errors import InvalidData, MissingPrerequisite, NotFound, UsageError
from mmretrieval.presets.opening import first_stage_of, open_preset
from mmretrieval.presets.preset import names, read_preset
from mmretrieval.specs import make
from mmretrieval.types import Query

DENSE = '[[stages]]\nverb = "search"\nmethod = "dense"\n'


@pytest.mark.parametrize("name", names())
def test_a_preset_of_the_package_is_sound(name):
    preset = read_preset(name)
    assert preset.about.endswith(".")
    assert [stage.verb for stage in preset.stages].count("search") == 1
    assert preset.compose == "sum"
    if preset.paper:
        assert re.fullmatch(r"arXiv \d{4}\.\d{5}", preset.paper)
        assert preset.encoder


def test_the_presets_of_the_papers_and_of_the_uses_are_there():
    assert {"food", "natural_world", "composed", "offline", "f4-its", "square", "cotrr", "inquire-pointwise"} <= set(
        names()
    )


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("f4-its", {"query.weights": "code", "ingredients.threshold": "code"}),
        ("square", {"query.weights": "ours", "grid.depth": "ours", "target_caption.beta": "ours"}),
        ("cotrr", {"cotrr.depth": "measured", "cotrr.alpha": "paper"}),
        ("inquire-pointwise", {"pointwise.depth": "paper"}),
    ],
)
def test_a_constant_of_a_paper_says_where_it_comes_from(name, constants):
    origins = read_preset(name).origins
    assert {constant: re.match(r"\w+", origins[constant])[0] for constant in constants} == constants


def test_the_papers_numbers_stand_in_their_presets():
    its, cotrr = read_preset("f4-its"), read_preset("cotrr")
    assert dict(its.weights) == {"image": 0.7, "text": 0.3}
    assert its.stages[-1].settings == {"threshold": 0.6, "alpha": 1.0}
    assert cotrr.stages[-1].settings == {"depth": 15, "alpha": 1.0}
    assert read_preset("inquire-pointwise").stages[-1].settings["depth"] == 100


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("about = ", "no TOML that can be read"),
        (f'depth = 3\n{DENSE}', "the preset has no 'depth': it has about, paper, encoder, query, stages, origins"),
        ('about = "x"', r"needs its \[\[stages\]\]"),
        ("about = 3\n" + DENSE, "about is 3, and it should be a text"),
        ('[[stages]]\nverb = "sort"\nmethod = "dense"', "stage 1 has the verb 'sort': write one of rewrite, search"),
        ('[[stages]]\nverb = "search"', "stage 1 names no method to search: see mmretrieval list first_stages"),
        (DENSE + "depth = [1]", r"dense.depth is \[1\]: a setting is a number"),
        (DENSE + 'word = "a,b"', "dense.word is 'a,b': a setting is a number, a word"),
        ('[query]\nmode = "sum"\n' + DENSE, r"\[query\] has no 'mode': it has compose, weights"),
        ('[query]\ncompose = "mix"\n' + DENSE, "query.compose is 'mix': write one of sum, slerp, product"),
        ("[query]\nweights = { words = 1 }\n" + DENSE, "query.weights has no 'words'"),
        ('[query]\nweights = { text = "1" }\n' + DENSE, "gives text '1', and it should be a number"),
        ("[query]\nweights = 3\n" + DENSE, "query.weights is 3, and it should be a table"),
        (DENSE + '[origins]\n"grid.depth" = "ours"', "tells of 'grid.depth', which this preset does not set"),
        ('paper = "arXiv 1"\nencoder = "demo"\n' + DENSE, "does not say where 'encoder' comes from"),
    ],
)  # fmt: skip
def test_a_wrong_preset_file_is_told_in_one_sentence(tmp_path, text, message):
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(InvalidData, match=message) as caught:
        read_preset(file)
    assert str(file) in str(caught.value)


def test_an_unknown_name_and_a_missing_file_are_told_apart(tmp_path):
    with pytest.raises(UsageError, match=r"there is no preset 'magic': choose one of .*square.*or name a \.toml file"):
        read_preset("magic")
    with pytest.raises(NotFound, match="there is no preset file"):
        read_preset(tmp_path / "magic.toml")


@pytest.mark.parametrize("name", names())
def test_every_setting_of_a_preset_is_one_that_its_method_has(name):
    """With the words of the preset the method is made; what it stands on is not looked at for that."""
    for stage in read_preset(name).stages:
        method = registry.load(stage.kind, stage.method)
        takes = inspect.signature(method).parameters
        assert set(stage.settings) <= set(takes)
        if stage.verb == "rerank":
            given = {"encoder": SketchEncoder(), "collection": None, "open_encoder": None}
            assert make(stage.kind, str(stage), **given).name == stage.method


# --- opening ------------------------------------------------------------------------------------------------------


@pytest.fixture
def idx(tmp_path):
    for number in range(6):
        save(tmp_path / "photos" / f"p{number}.png", number)
    mm.index(tmp_path / "photos", tmp_path / "idx", SketchEncoder())
    return tmp_path / "idx"


def written(tmp_path, text):
    (tmp_path / "mine.toml").write_text(text)
    return read_preset(tmp_path / "mine.toml")


def test_a_preset_opens_a_searcher_with_its_stages(idx, tmp_path):
    preset = written(tmp_path, DENSE + '[[stages]]\nverb = "refine"\nmethod = "superglobal"\nshortlist = 4\n')
    with open_preset(preset, idx, encoder=SketchEncoder()) as searcher:
        assert [step.name for step in searcher.search("a b").steps] == ["dense", "superglobal"]
        assert searcher.pipeline.later[0].depth == 4
    with (
        open_preset(first_stage_of(preset), idx, encoder=SketchEncoder()) as ours,
        mm.Searcher.open(idx, encoder=SketchEncoder()) as plain,
    ):
        assert ours.search("a b").ids == plain.search("a b").ids


def test_hybrid_search_may_be_a_presets_first_stage(idx, tmp_path):
    preset = written(tmp_path, '[[stages]]\nverb = "search"\nmethod = "hybrid"\n')
    with open_preset(preset, idx, encoder=SketchEncoder()) as ours:
        found = ours.search("a b").ids
    with mm.Searcher.open(idx, encoder=SketchEncoder(), hybrid="rrf") as plain:
        assert found == plain.search("a b").ids
    wrong = written(tmp_path, '[[stages]]\nverb = "search"\nmethod = "hybrid"\nk = 60\n')
    with pytest.raises(UsageError, match="'hybrid' has no setting 'k' in a preset"):
        open_preset(wrong, idx)


def test_what_a_stage_lacks_or_does_not_take_is_told(idx, tmp_path):
    lacking = written(tmp_path, '[[stages]]\nverb = "rewrite"\nmethod = "tidy"\n' + DENSE)
    with pytest.raises(MissingPrerequisite, match="needs the method 'tidy' to rewrite"):
        open_preset(lacking, idx)
    unknown = written(tmp_path, DENSE + '[[stages]]\nverb = "refine"\nmethod = "superglobal"\ndepht = 4\n')
    with pytest.raises(UsageError, match="'superglobal' has no setting 'depht'"):
        open_preset(unknown, idx)
    after = written(tmp_path, DENSE + DENSE)
    with pytest.raises(UsageError, match="exactly one first stage"):
        open_preset(after, idx)


def test_a_composed_query_takes_the_weights_of_the_preset_and_no_other_does(tmp_path):
    preset = written(tmp_path, "[query]\nweights = { text = 0.8, image = 0.2 }\n" + DENSE)
    composed = Query("q", "but blue", image_id="p1")
    assert dict(preset.joined(composed).weights) == {"text": 0.8, "image": 0.2}
    for other in (
        Query("q", "blue"),
        Query("q", image_id="p1"),
        Query("q", "blue", image_id="p1", weights={"text": 2}),
    ):
        assert preset.joined(other) == other


def test_fused_search_may_be_a_presets_first_stage(idx, tmp_path):
    encode_captions(idx, "clip", SketchEncoder())
    preset = written(
        tmp_path, '[[stages]]\nverb = "search"\nmethod = "fused"\nimage = 0.5\ncaption = 0.5\nhow = "standard"\n'
    )
    with open_preset(preset, idx, encoder=SketchEncoder()) as ours:
        found = ours.search("a b")
    with mm.Searcher.open(idx, encoder=SketchEncoder(), fuse="standard:image=0.5,caption=0.5") as plain:
        assert [hit.score for hit in found.hits] == [hit.score for hit in plain.search("a b").hits]
    wrong = written(tmp_path, '[[stages]]\nverb = "search"\nmethod = "fused"\nbm25 = 1\n')
    with pytest.raises(UsageError, match="'fused' has no setting 'bm25' in a preset: its settings are image, caption"):
        open_preset(wrong, idx)
