"""The published numbers: files of full size pass in their official places, one entry less or more does not."""

import official_files as official
import pytest

from mmretrieval import registry
from mmretrieval.errors import InvalidData


def load(name, folder, split):
    return registry.load("datasets", name)().load(folder, split)


FULL = {
    "cirr val": (lambda: official.cirr(full=True), 4181, 2297),
    "cirr test1": (lambda: official.cirr(full=True, split="test1"), 4148, 2315),
    "circo val": (lambda: official.circo(full=True), 220, 123_403),
    "circo test": (lambda: official.circo(full=True, split="test"), 800, 123_403),
    "fashioniq val": (lambda: official.fashioniq(full=True), 2017 + 2038 + 1961, 3817 + 6346 + 5373),
    "genecis all": (lambda: official.genecis(full=True), 2000 + 2112 + 1960 + 1960, None),
    "visdial human": (lambda: official.visdial(full=True), 2064 * 11, 50_000),
    "coco test": (lambda: official.karpathy("coco", full=True), 25_010, 5000),
    "coco val2017": (lambda: official.coco_2017(full=True), 25_014, 5000),
    "flickr30k test": (lambda: official.karpathy("flickr30k", full=True), 5000, 1000),
    "flickr30k val": (lambda: official.karpathy("flickr30k", full=True, split="val"), 5070, 1014),
    "inquire fullrank-val": (lambda: official.inquire(full=True), 50, None),
    "inquire fullrank-test": (lambda: official.inquire(full=True, split="test"), 200, None),
}


@pytest.mark.parametrize("which", FULL)
def test_files_of_the_published_size_pass_in_their_official_places(which, tmp_path):
    build, queries, candidates = FULL[which]
    name, _, split = which.partition(" ")
    benchmark = load(name, official.write(tmp_path, build()), split)
    assert len(benchmark.queries) == queries
    assert candidates is None or len(benchmark.candidates) == candidates
    assert not any("half" in note for note in benchmark.notes)


def shorter(files):
    """The same without the last entry of the first list there is."""
    for value in files.values():
        for found in (value, *(value.values() if isinstance(value, dict) else ())):
            if isinstance(found, list) and len(found) > 1:
                found.pop()
                return files
    name, value = next(iter(files.items()))
    return files | {name: "\n".join(value.splitlines()[:-1])}


@pytest.mark.parametrize(
    "which", sorted(FULL.keys() - {"coco test", "flickr30k test", "flickr30k val", "coco val2017"})
)
def test_one_entry_less_is_an_error_that_names_both_numbers(which, tmp_path):
    name, _, split = which.partition(" ")
    folder = official.write(tmp_path, shorter(FULL[which][0]()))
    with pytest.raises(InvalidData, match=r"[\d,]+ \w+ where [\d,]+ were published; fetch it again from https"):
        load(name, folder, split)


@pytest.mark.parametrize("which", ["coco test", "flickr30k test"])
def test_a_missing_image_of_karpathys_split_is_an_error(which, tmp_path):
    name, _, split = which.partition(" ")
    files = FULL[which][0]()
    files[f"dataset_{name}.json"]["images"].pop(0)
    with pytest.raises(InvalidData, match=r"images of test where [\d,]+ were published"):
        load(name, official.write(tmp_path, files), split)


def test_a_missing_caption_of_val2017_is_an_error(tmp_path):
    files = official.coco_2017(full=True)
    files["annotations/captions_val2017.json"]["annotations"].pop()
    with pytest.raises(InvalidData, match="25,013 captions where 25,014 were published"):
        load("coco", official.write(tmp_path, files), "val2017")


def test_sugarcrepe_has_7512_pairs(tmp_path):
    files = official.sugarcrepe(full=True)
    assert len(load("sugarcrepe", official.write(tmp_path, files), "all").choices) == 7512
    files["data/swap_att.json"]["9999"] = files["data/swap_att.json"]["0"]
    with pytest.raises(InvalidData, match="667 pairs where 666 were published"):
        load("sugarcrepe", official.write(tmp_path, files), "all")


@pytest.mark.parametrize("task", ["sts", "sits"])
def test_the_published_number_of_crossed_pairs_passes_and_one_less_does_not(task, tmp_path):
    files = official.crisscrossed(full=True)
    benchmark = load("crisscrossed", official.write(tmp_path, files), f"{task}-val")
    assert len(benchmark.pairs) == official.CROSSED[task][2]
    name = f"data/{task}_val.csv"
    files[name] = files[name][: files[name].rstrip().rindex("\n")]
    with pytest.raises(InvalidData, match=r"pairs where 44,[07]"):
        load("crisscrossed", official.write(tmp_path, files), f"{task}-val")


def test_other_bytes_than_the_published_ones_are_noted(tmp_path):
    """Files drawn for this test have the right number of entries and other content."""
    benchmark = load("cirr", official.write(tmp_path, official.cirr(full=True)), "val")
    assert any(
        "split.rc2.val.json: not the published bytes (SHA-256 de36f7a7219c8bb0" in note for note in benchmark.notes
    )


def test_half_a_file_must_not_hold_more_than_the_whole(tmp_path):
    pairs = official.sugarcrepe(full=True)["data/swap_obj.json"]
    official.write(tmp_path, {"dev/swap_obj.part.json": pairs | {"more": pairs["0"]}})
    with pytest.raises(InvalidData, match="247 pairs where 246 were published"):
        load("sugarcrepe", tmp_path, "swap_obj")
