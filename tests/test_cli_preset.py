"""search --preset: the stages and weights of a preset, over the same index as any other search."""

import json

import pytest
from test_cli import draw, mmr, told


@pytest.fixture(scope="module")
def place(tmp_path_factory, tiny_clip_dir):
    place = tmp_path_factory.mktemp("preset")
    draw(place / "pictures", 9)
    lines = [{"id": f"n{n}", "path": f"p{n}.png", "caption": f"word{n} on a table"} for n in range(9)]
    (place / "pictures" / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    mmr("index", "pictures", "--index", "idx", "--encoder", f"local-dir:{tiny_clip_dir}", cwd=place)
    (place / "mine.toml").write_text(
        'about = "words before the picture"\n[query]\ncompose = "slerp"\nweights = { text = 0.9, image = 0.3 }\n'
        '[[stages]]\nverb = "search"\nmethod = "dense"\n'
    )
    return place


def hits(place, *words):
    return told("search", "--index", "idx", *words, cwd=place)["hits"]


@pytest.mark.parametrize(
    ("preset", "options"),
    [("dense", []), ("offline", ["--hybrid", "rrf", "--refine", "superglobal:form=dba,shortlist=100"])],
)
def test_a_preset_finds_what_its_stages_given_one_by_one_find(place, preset, options):
    for words in (["word7 table"], ["word3", "-k", "4"]):
        assert hits(place, *words, "--preset", preset) == hits(place, *words, *options) != []


def test_a_preset_of_words_alone_finds_by_words(place):
    assert [hit["id"] for hit in hits(place, "word7", "--preset", "bm25")] == ["n7"]


def test_a_preset_joins_words_and_picture_unless_weights_are_given(place):
    composed = ["red", "--image", "id:n3"]
    by_hand = hits(place, *composed, "--weight", "text=0.9,image=0.3", "--compose", "slerp")
    assert hits(place, *composed, "--preset", "mine.toml") == by_hand
    assert by_hand != hits(place, *composed, "--preset", "dense")
    own = [*composed, "--weight", "text=0.2,image=0.8"]
    assert hits(place, *own, "--preset", "mine.toml") == hits(place, *own)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--preset", "magic"], 2, "there is no preset 'magic'"),
        (["--preset", "square"], 2, "'target_caption' asks a language model: name one with --mllm"),
        (["--preset", "gone.toml"], 4, "there is no preset file"),
        (["--preset", "dense", "--hybrid", "rrf"], 2, "leave out --hybrid, --fuse, --rewrite"),
        (["--preset", "dense", "--refine", "superglobal"], 2, "leave out --hybrid, --fuse, --rewrite"),
        (["--preset", "dense", "--image", "id:n3", "--compose", "slerp"], 2, "leave out --hybrid, --fuse, --rewrite"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_a_preset_cannot_do_is_one_sentence_with_its_status(place, words, code, message):
    assert message in told("search", "--index", "idx", "red", *words, cwd=place, code=code)["errors"][0]
