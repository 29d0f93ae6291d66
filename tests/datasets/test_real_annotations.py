"""The real annotation files, whole or by halves: their published numbers, and what the papers say of them."""

import json
import os
from pathlib import Path

import pytest

from mmretrieval import registry

DATA = Path(os.environ.get("MMRETRIEVAL_DATA", Path(__file__).parents[3] / "shared" / "data"))


def folder(name):
    found = DATA / name
    if not found.is_dir():
        pytest.skip(f"no {name} in {DATA}; name its folder in MMRETRIEVAL_DATA")
    return found


def load(name, where, split=""):
    return registry.load("datasets", name)().load(where, split)


def halves(where, *names):
    """How many of the two halves are here; skips without any."""
    count = sum(any((where / half / each).exists() for each in names) for half in ("dev", "holdout"))
    if not count:
        pytest.skip(f"neither half of {names[0]} is in {where}")
    return count


# loader, split, folder, a file of each half, published number, number in the first half
COUNTS = [
    ("cirr", "val", "ann-cirr", "cap.rc2.val.part.json", 4181, 2252),
    ("circo", "val", "ann-circo", "val.part.json", 220, 104),
    ("fashioniq", "dress", "ann-fashioniq", "cap.dress.val.part.json", 2017, 1013),
    ("fashioniq", "shirt", "ann-fashioniq", "cap.shirt.val.part.json", 2038, 1009),
    ("fashioniq", "toptee", "ann-fashioniq", "cap.toptee.val.part.json", 1961, 954),
    ("genecis", "focus_object", "ann-genecis", "focus_object.part.json.gz", 1960, 958),
    ("genecis", "change_object", "ann-genecis", "change_object.part.json.gz", 1960, 960),
    ("coco", "val2017", "ann-coco-captions-val2017", "captions_val2017.part.json.gz", 25_014, 12_386),
    ("coco", "val2017-captions", "ann-coco-captions-val2017", "captions_val2017.part.json.gz", 5000, 2476),
    ("visdial", "human", "ann-chatir-visdial", "VisDial_v1.0_queries_val.part.json.gz", 2064 * 11, 1019 * 11),
    ("visdial", "chatgpt-blip2", "ann-chatir-visdial", "ChatGPT_BLIP2.part.json.gz", 2064 * 11, 1019 * 11),
    ("visdial", "human-blip2", "ann-chatir-visdial", "Human_BLIP2.part.json.gz", 2064 * 11, 1019 * 11),
    (
        "visdial",
        "flan-alpaca-xxl-blip2",
        "ann-chatir-visdial",
        "FLAN_ALPACA_XXL_BLIP2.part.json.gz",
        2064 * 11,
        1019 * 11,
    ),
    (
        "visdial",
        "unanswered-chatgpt-blip2",
        "ann-chatir-visdial",
        "Unanswered_ChatGPT_BLIP2.part.json.gz",
        2064 * 11,
        1019 * 11,
    ),
]


@pytest.mark.parametrize(("name", "split", "where", "file", "published", "first"), COUNTS)
def test_the_halves_join_to_the_published_number(name, split, where, file, published, first):
    place = folder(where)
    both = halves(place, file) == 2
    benchmark = load(name, place, split)
    expected = published if both else first if (place / "dev" / file).exists() else published - first
    assert len(benchmark.queries) == expected
    assert any("only one half" in note for note in benchmark.notes) is not both
    assert all(len(benchmark.qrels[query.id]) >= 1 for query in benchmark.queries)


SUGARCREPE = {
    "add_att": 306,
    "add_obj": 966,
    "replace_att": 363,
    "replace_obj": 722,
    "replace_rel": 641,
    "swap_att": 322,
    "swap_obj": 125,
}


def test_sugarcrepe_has_its_pairs_by_category():
    place = folder("ann-sugarcrepe")
    benchmark = load("sugarcrepe", place)
    count = {kind: sum(choice.category == kind for choice in benchmark.choices) for kind in SUGARCREPE}
    if halves(place, "add_att.part.json") == 2:
        assert len(benchmark.choices) == 7512
    elif (place / "dev").is_dir():
        assert count == SUGARCREPE


def test_the_whole_files_of_cirr_and_circo_are_as_published():
    cirr, circo = load("cirr", folder("ann-cirr"), "test1"), load("circo", folder("ann-circo"), "test")
    assert (len(cirr.queries), len(cirr.candidates)) == (4148, 2315)
    assert (len(circo.queries), len(circo.candidates)) == (800, 123_403)
    for benchmark in (cirr, circo):
        assert not any("not the published bytes" in note for note in benchmark.notes)
    assert any("empty caption" in note and "27098" in note for note in cirr.notes)  # real dirt of the official file


def test_the_galleries_of_fashioniq_and_the_search_space_of_visdial_are_as_published():
    benchmark = load("fashioniq", folder("ann-fashioniq"))
    pools = {benchmark.categories[query.id]: len(query.within) for query in benchmark.queries}
    assert pools == {"dress": 3817, "shirt": 6346, "toptee": 5373}
    talk = load("visdial", folder("ann-chatir-visdial"))
    assert len(talk.candidates) == 50_000
    for found in (benchmark, talk):
        assert not any("not the published bytes" in note for note in found.notes)


def test_flickr30k_val_has_1014_images_with_five_captions():
    benchmark = load("flickr30k", folder("ann-flickr30k-multi30k"), "val")
    assert (len(benchmark.queries), len(benchmark.candidates)) == (5070, 1014)


@pytest.mark.parametrize(("task", "pairs"), [("sts", 44_009), ("sis", 42_767), ("sits", 44_722)])
def test_crisscrossed_val_is_as_published(task, pairs):
    benchmark = load("crisscrossed", folder("ann-crisscrossed-captions"), f"{task}-val")
    assert any(f"{task}_val.csv.gz: {pairs:,} pairs, as published" in note for note in benchmark.notes)
    assert not any("not the published bytes" in note for note in benchmark.notes)


def test_inquire_val_has_50_queries_in_its_four_categories():
    benchmark = load("inquire", folder("ann-inquire"), "fullrank-val")
    count = {kind: list(benchmark.categories.values()).count(kind) for kind in set(benchmark.categories.values())}
    assert count == {"Behavior": 17, "Appearance": 17, "Context": 12, "Species": 4}
    assert not any("not the published bytes" in note for note in benchmark.notes)


def test_the_extended_captions_of_cirr_are_about_the_same_queries():
    place = folder("ann-cirr") / "dev"
    if not place.is_dir():
        pytest.skip(f"no first half in {place.parent}")
    extended = json.loads((place / "cap.ext.rc2.val.part.json").read_text("utf-8"))
    own = json.loads((place / "cap.rc2.val.part.json").read_text("utf-8"))
    assert [entry["pairid"] for entry in extended] == [entry["pairid"] for entry in own]
    assert len(own) == 2252


def test_the_texts_of_cirr_lack_the_two_known_images():
    folder("out-weimocir-cirr-captions")
    benchmark = load("cirr", folder("ann-cirr"))
    assert len(benchmark.candidates) == 2297
    assert set(benchmark.candidates) - benchmark.texts.keys() == {"dev-220-2-img1", "dev-725-0-img0"}


def test_an_oracle_reranker_turns_recall_at_depth_into_recall_at_1():
    """The CIRR oracle identity, over all val queries that are here, for every depth and a first stage by hash."""
    benchmark = load("cirr", folder("ann-cirr"))
    candidates = benchmark.candidates
    place = {name: (n * 1009) % len(candidates) for n, name in enumerate(candidates)}
    depths = (1, 5, 10, 15, 50, 500, len(candidates))
    found, first, last = dict.fromkeys(depths, 0), dict.fromkeys(depths, 0), dict.fromkeys(depths, 0)
    for number, query in enumerate(benchmark.queries):
        ranked = sorted(candidates, key=lambda name: (place[name] + 37 * number) % len(candidates))
        ranked = [name for name in ranked if name not in query.exclude]
        [target] = benchmark.qrels[query.id]
        for depth in depths:
            head, tail = ranked[:depth], ranked[depth:]
            oracle = sorted(head, key=lambda name: name != target) + tail
            reverse = sorted(head, key=lambda name: name == target) + tail
            found[depth] += target in head
            first[depth] += oracle[0] == target
            last[depth] += reverse[: len(head)][-1] == target
    assert first == found == last
    assert found[len(candidates)] == len(benchmark.queries)  # the reference is never the target


def test_half_of_circo_keeps_the_rules_of_the_whole():
    benchmark = load("circo", folder("ann-circo"))
    truths = [len(judged) for judged in benchmark.qrels.values()]
    assert max(truths) <= 14
    assert all(sorted(judged.values(), reverse=True)[:2] in ([2], [2, 1]) for judged in benchmark.qrels.values())
    assert not any(query.image_id in benchmark.qrels[query.id] for query in benchmark.queries)
    assert len(benchmark.groups) == 9
    if len(benchmark.queries) == 220:
        assert sum(truths) == 916


@pytest.mark.parametrize(
    "where", [*(path.parent.name for path in sorted(DATA.glob("img-*/dev/")) if (path / "queries.jsonl").exists())]
)
def test_every_set_of_photographs_is_a_benchmark(where):
    place = DATA / where / "dev"
    benchmark = load("folder", place)
    assert len(benchmark.images) == len((place / "manifest.jsonl").read_text("utf-8").splitlines())
    assert len(benchmark.queries) == len((place / "queries.jsonl").read_text("utf-8").splitlines())
    assert not any("images are not in the folder" in note for note in benchmark.notes)
    for split, file in (("composed", "composed_queries.jsonl"), ("image", "image_queries.jsonl")):
        if (place / file).exists():
            further = load("folder", place, split)
            assert all(query.image_id in query.exclude for query in further.queries)
