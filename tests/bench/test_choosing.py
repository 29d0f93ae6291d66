"""Choices between two captions: the same verdicts as a slow twin that compares cosines by hand."""

import numpy as np
import official_files as official
import pytest
from PIL import Image
from store_samples import save

from mmretrieval import registry
from mmretrieval.bench.choosing import questions
from mmretrieval.bench.protocol import Bench
from mmretrieval.bench.report import report
from mmretrieval.benchmarks import Choice, Choices
from mmretrieval.errors import NotFound, UsageError
from mmretrieval.presets.preset import read_preset

WORDS = ["red", "green", "blue", "dark", "pale", "round", "old"]


@pytest.fixture
def task():
    """Twenty choices over five pictures, in two categories; the last one has the same caption twice."""
    choices = [
        Choice(f"{('add', 'swap')[n % 2]}:{n}", f"p{n % 5}", f"a {WORDS[n % 7]} thing {n}", f"{WORDS[n % 3]} thing {n}",
               ("add", "swap")[n % 2])
        for n in range(19)
    ]  # fmt: skip
    choices.append(Choice("same:19", "p0", "twice this", "twice this", "same"))
    texts = {f"p{n}": f"a {WORDS[n]} one\na {WORDS[n + 1]} other\na {WORDS[n]} thing {n}" for n in range(4)}
    return Choices("pick", "all", tuple(choices), {f"p{n}": f"val/p{n}.png" for n in range(5)}, texts, ("noted",))


@pytest.fixture
def pictures(tmp_path):
    for number in range(5):
        save(tmp_path / "data" / "val" / f"p{number}.png", number)
    return tmp_path / "data"


def rows_of(results, name="dense"):
    [result] = [result for result in results if result.name == name]
    return result, {cell.category: (cell.queries, cell.value.mean) for cell in result.tables["R@1"]}


def test_a_picture_chooses_the_caption_whose_cosine_is_larger(task, pictures, encoder, tmp_path):
    benchmark = questions(task, pictures)
    result, rows = rows_of(Bench(pictures, tmp_path / "out", encoder).run(benchmark, [read_preset("dense")]))
    right = {}
    for choice in task.choices:
        with Image.open(pictures / task.images[choice.image]) as opened:
            picture = encoder.encode_images([opened.convert("RGB")])[0]
        one, other = encoder.encode_texts([choice.caption, choice.negative]) @ picture
        right[choice.id] = float(one > other)
    assert result.by_query["R@1"] == right
    assert 0 < sum(right.values()) < 19
    for category in ("add", "swap", "same"):
        own = [right[choice.id] for choice in task.choices if choice.category == category]
        assert rows[category] == (len(own), pytest.approx(np.mean(own)))
    assert rows["same"] == (1, 0.0)  # a tie is no right choice
    assert rows["all"] == (20, pytest.approx(np.mean(list(right.values()))))


def test_where_no_picture_is_there_its_other_captions_are_asked_with(task, encoder, tmp_path):
    benchmark = questions(task, tmp_path)
    result, _ = rows_of(Bench(tmp_path, tmp_path / "out", encoder).run(benchmark, [read_preset("dense")]))
    right = {}
    for choice in task.choices:
        lines = task.texts.get(choice.image, "").splitlines()
        others = " ".join(line for line in lines if line != choice.caption)
        if others:
            asked, one, other = encoder.encode_texts([others, choice.caption, choice.negative])
            right[choice.id] = float(asked @ one > asked @ other)
    assert result.by_query["R@1"] == right
    assert len(right) == 17
    notes = " ".join(report(benchmark, [result], tmp_path)["benchmark"]["notes"])
    for told in ("noted", "no picture was seen", "17 of 20 choices have another caption", "a tie counts as wrong"):
        assert told in notes


def test_words_alone_choose_by_captions_and_a_second_run_asks_for_nothing(task, tmp_path, encoder):
    benchmark = questions(task, tmp_path)
    presets = [read_preset("bm25"), read_preset("dense")]
    first = Bench(tmp_path, tmp_path / "out", encoder).run(benchmark, presets)
    made = encoder.texts
    again = Bench(tmp_path, tmp_path / "out", encoder).run(benchmark, presets)
    assert encoder.texts == made > 0
    assert [each.by_query for each in again] == [each.by_query for each in first]
    _, rows = rows_of(first, "bm25")
    assert rows["same"][1] == 0.0


def test_words_alone_cannot_choose_for_a_picture(task, pictures, tmp_path):
    with pytest.raises(UsageError, match="'bm25' reads words alone, and the queries of pick all are pictures"):
        Bench(pictures, tmp_path / "out").run(questions(task, pictures), [read_preset("bm25")])


def test_choices_whose_picture_is_missing_are_left_out_and_counted(task, pictures):
    (pictures / "val" / "p3.png").unlink()
    benchmark = questions(task, pictures)
    assert len(benchmark.queries) == 16
    assert "16 of 20 choices have their picture here; the others are left out" in benchmark.notes


def test_without_pictures_and_captions_it_is_said_what_to_put_where(tmp_path):
    loaded = registry.load("datasets", "sugarcrepe")().load(official.write(tmp_path, official.sugarcrepe()))
    with pytest.raises(NotFound, match=r"as val2017/000000000000\.jpg, and there are no other captions"):
        questions(loaded, tmp_path)


@pytest.mark.parametrize("place", ["annotations", "../ann-coco-captions-val2017/annotations"])
def test_cocos_own_file_gives_sugarcrepe_the_other_captions(place, tmp_path):
    files = official.sugarcrepe()
    files[f"{place}/captions_val2017.json"] = {
        "annotations": [{"id": n, "image_id": n % 2, "caption": f"words {n}"} for n in range(4)]
    }
    loaded = registry.load("datasets", "sugarcrepe")().load(official.write(tmp_path / "data", files))
    assert loaded.texts == {"000000000000": "words 0\nwords 2", "000000000001": "words 1\nwords 3"}
    assert [query.text for query in questions(loaded, tmp_path).queries[:2]] == ["words 0 words 2", "words 1 words 3"]
