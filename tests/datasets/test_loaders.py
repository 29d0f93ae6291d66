"""Every loader on small files of the official shape: what it hands over is worked out here by hand."""

from pathlib import Path

import official_files as official
import pytest

from mmretrieval import registry
from mmretrieval.benchmarks import Benchmark, Choices, Correlations
from mmretrieval.errors import InvalidData, NotFound, UsageError
from mmretrieval.evaluation.measures import parse_measures


def load(name, folder, split=""):
    return registry.load("datasets", name)().load(folder, split)


SMALL = {
    "cirr": official.cirr,
    "circo": official.circo,
    "fashioniq": official.fashioniq,
    "genecis": official.genecis,
    "sugarcrepe": official.sugarcrepe,
    "visdial": official.visdial,
    "coco": lambda: official.karpathy("coco"),
    "flickr30k": lambda: official.karpathy("flickr30k"),
    "crisscrossed": official.crisscrossed,
    "inquire": lambda: official.inquire(split="test"),
    "food": official.food,
    "folder": official.folder,
}


def test_every_dataset_is_tried_here():
    assert sorted(SMALL) == registry.names("datasets")


@pytest.mark.parametrize("name", SMALL)
def test_the_default_split_loads_twice_with_the_same_outcome(name, tmp_path):
    folder = official.write(tmp_path, SMALL[name]())
    first, second = load(name, folder), load(name, folder)
    assert first == second
    assert isinstance(first, Benchmark | Choices | Correlations)
    assert (first.name, first.split) == (name, registry.load("datasets", name).splits[0])
    assert first.licence


@pytest.mark.parametrize("name", SMALL)
def test_every_loader_names_its_page_its_licence_and_its_paper(name):
    loader = registry.load("datasets", name)
    assert loader.source
    assert loader.licence
    assert loader.paper.startswith("arXiv") or name == "folder"


@pytest.mark.parametrize("name", SMALL)
def test_an_unknown_split_is_refused_with_the_known_ones(name, tmp_path):
    with pytest.raises(UsageError, match=f"{name} has no split 'fancy'.*choose one of"):
        load(name, tmp_path, "fancy")


@pytest.mark.parametrize("name", SMALL)
def test_an_empty_folder_is_told_what_is_missing_and_where_it_is_had(name, tmp_path):
    with pytest.raises(NotFound, match=r"has no \S+(: get it from|: name a folder)"):
        load(name, tmp_path)


@pytest.mark.parametrize("name", SMALL)
def test_a_missing_folder_is_one_clear_sentence(name, tmp_path):
    with pytest.raises(NotFound, match="absent"):
        load(name, tmp_path / "absent")


@pytest.mark.parametrize("name", SMALL)
def test_the_measures_of_every_benchmark_are_known(name, tmp_path):
    benchmark = load(name, official.write(tmp_path, SMALL[name]()))
    if isinstance(benchmark, Benchmark):
        assert [str(each) for each in parse_measures(" ".join(benchmark.measures))] == list(benchmark.measures)


@pytest.mark.parametrize("name", sorted(SMALL.keys() - {"sugarcrepe", "crisscrossed"}))
def test_judged_images_pools_and_references_are_candidates(name, tmp_path):
    benchmark = load(name, official.write(tmp_path, SMALL[name]()))
    candidates = set(benchmark.candidates)
    for query in benchmark.queries:
        named = {*benchmark.qrels.get(query.id, {}), *(query.within or ()), *query.exclude}
        named |= {query.image_id} if query.image_id else set()
        assert named <= candidates


def test_cirr_excludes_the_reference_and_keeps_the_rest_of_its_set(tmp_path):
    benchmark = load("cirr", official.write(tmp_path, official.cirr()))
    query = benchmark.queries[0]
    assert (query.id, query.text, query.image_id) == ("100", "make it 0", "dev-0-0-img0")
    assert query.exclude == {"dev-0-0-img0"}
    assert benchmark.subsets["100"] == {f"dev-{n}-0-img0" for n in range(1, 6)}
    assert benchmark.qrels == {str(100 + n): {f"dev-{n + 1}-0-img0": 1} for n in range(3)}  # soft targets are not used
    assert benchmark.images["dev-7-0-img0"] == "dev/dev-7-0-img0.png"
    assert benchmark.texts["dev-1-0-img0"] == "a photo of dev-1-0-img0\nagain"
    assert any("without are: dev-0-0-img0" in note for note in benchmark.notes)


def test_cirr_finds_its_pictures_where_they_lie(tmp_path):
    folder = official.write(tmp_path, official.cirr() | {"img_raw/dev/dev-0-0-img0.png": "x"})
    benchmark = load("cirr", folder)
    assert benchmark.images["dev-3-0-img0"] == "img_raw/dev/dev-3-0-img0.png"
    assert not any("pictures are not here" in note for note in benchmark.notes)


def test_the_test_halves_of_cirr_and_circo_have_queries_and_no_answers(tmp_path):
    one = load("cirr", official.write(tmp_path / "1", official.cirr(split="test1")), "test1")
    other = load("circo", official.write(tmp_path / "2", official.circo(split="test")), "test")
    for benchmark in (one, other):
        assert len(benchmark.queries) == 3
        assert benchmark.qrels == {}
        assert any("not published" in note for note in benchmark.notes)


def test_circo_grades_the_chosen_target_higher_and_groups_by_aspect(tmp_path):
    benchmark = load("circo", official.write(tmp_path, official.circo()))
    assert benchmark.qrels["0"] == {"2": 2, "3": 1}
    assert list(benchmark.qrels["0"]) == ["2", "3"]  # the target first
    assert benchmark.groups == {"aspect: addition": {"0", "1", "2"}, "aspect: negation": {"0", "1", "2"}}
    assert benchmark.images["9"] == "COCO2017_unlabeled/unlabeled2017/000000000009.jpg"
    assert benchmark.queries[0].exclude == frozenset()


def test_circo_reads_a_plain_list_of_ids_too(tmp_path):
    files = official.circo()
    del files["dev/image_info_unlabeled2017.part.json"]
    folder = official.write(tmp_path, files | {"dev/coco2017_unlabeled_ids.part.txt": "1\n02\n3\n4\n5\n"})
    assert sorted(load("circo", folder).images) == ["1", "2", "3", "4", "5"]


def test_fashioniq_joins_the_captions_and_ranks_within_the_category(tmp_path):
    benchmark = load("fashioniq", official.write(tmp_path, official.fashioniq()))
    query = benchmark.queries[0]
    assert (query.id, query.text) == ("dress:0", "Is 0 times longer and Has dots")
    assert (query.image_id, query.exclude) == ("D00000", frozenset())
    assert query.within == {f"D0000{n}" for n in range(4)}
    assert benchmark.qrels["toptee:1"] == {"T00002": 1}
    assert benchmark.average == "categories"
    assert set(benchmark.categories.values()) == {"dress", "shirt", "toptee"}
    alone = load("fashioniq", tmp_path, "shirt")
    assert {query.id for query in alone.queries} == {"shirt:0", "shirt:1"}


def test_fashioniq_counts_queries_that_say_nothing(tmp_path):
    files = official.fashioniq()
    files["dev/cap.dress.val.part.json"][0]["captions"] = ["is the same.", "Is the same"]
    files["dev/cap.dress.val.part.json"][1]["captions"] = ["is exactly the same", "same"]
    benchmark = load("fashioniq", official.write(tmp_path, files), "dress")
    assert any("and are kept: 1" in note for note in benchmark.notes)


def test_genecis_has_a_pool_of_fifteen_sorted_by_id_and_not_by_the_target(tmp_path):
    benchmark = load("genecis", official.write(tmp_path, official.genecis()))
    query = benchmark.queries[0]
    assert (query.id, query.text, query.image_id) == ("focus_object:0", "colour 0", "100")
    assert query.within == {str(n) for n in range(101, 116)}
    assert benchmark.qrels[query.id] == {"101": 1}
    assert benchmark.images["101"] == "val2017/000000000101.jpg"
    assert benchmark.candidates == sorted(benchmark.candidates)
    assert benchmark.average == "categories"


def test_genecis_names_cut_out_boxes_by_image_and_box(tmp_path):
    benchmark = load("genecis", official.write(tmp_path, official.genecis()), "focus_attribute")
    assert benchmark.queries[0].image_id == "100_1.5_2_30_40"
    assert len(benchmark.queries[0].within) == 10
    assert set(load("genecis", tmp_path, "all").categories.values()) == set(official.GENECIS)


def test_sugarcrepe_pairs_each_caption_with_its_negative(tmp_path):
    benchmark = load("sugarcrepe", official.write(tmp_path, official.sugarcrepe()))
    assert len(benchmark.choices) == 14
    choice = benchmark.choices[1]
    assert (choice.id, choice.image, choice.category) == ("add_att:1", "000000000001", "add_att")
    assert (choice.caption, choice.negative) == ("A dog and 1 cats.", "A cat and 1 dogs.")
    assert benchmark.images["000000000001"] == "val2017/000000000001.jpg"


def test_visdial_asks_with_the_dialogue_so_far(tmp_path):
    benchmark = load("visdial", official.write(tmp_path, official.visdial()))
    assert len(benchmark.queries) == 22
    first, third = benchmark.queries[0], benchmark.queries[2]
    speaker = official.VISDIAL[0]
    assert first.text == "caption 0"
    assert third.text == f"caption 0, {speaker} asks 0 0? yes, {speaker} asks 0 1? yes"
    assert benchmark.qrels[third.id] == {"000000000000": 1}
    assert benchmark.categories[third.id] == "round 02"
    assert benchmark.dialogues["000000000001"] == tuple(f"000000000001:{n}" for n in range(11))
    assert len(benchmark.images) == 5


def test_the_texts_of_visdial_are_of_another_pair_and_without_the_caption(tmp_path):
    folder = official.write(tmp_path, official.visdial())
    for split, other in (("human-texts", "ChatGPT_BLIP2"), ("chatgpt-blip2-texts", "VisDial_v1.0_queries_val")):
        benchmark = load("visdial", folder, split)
        assert benchmark.texts["000000000001"] == "\n".join(f"{other} asks 1 {n}? yes" for n in range(10))
        assert benchmark.images == {}
        assert not any("caption" in text for text in benchmark.texts.values())
        assert any("not comparable" in note for note in benchmark.notes)


@pytest.mark.parametrize("name", ["coco", "flickr30k"])
def test_captions_seek_images_images_seek_captions_and_captions_each_other(name, tmp_path):
    folder = official.write(tmp_path, official.karpathy(name))
    there = load(name, folder, "test")
    assert [query.id for query in there.queries[:6]] == ["0", "1", "2", "3", "4", "10"]
    assert there.qrels["11"] == {"1": 1}
    assert sorted(there.images) == ["0", "1", "2"]
    assert there.images["1"] == ("val2014/1.jpg" if name == "coco" else "1.jpg")
    back = load(name, folder, "test-image-to-text")
    assert back.qrels["1"] == {str(10 + n): 1 for n in range(5)}
    assert back.queries[1].image == folder / there.images["1"]
    assert back.texts["12"] == "caption 2 of 1"
    words = load(name, folder, "test-captions")
    assert words.queries[1].text == "caption 0 of 1"
    assert words.texts["1"] == "\n".join(f"caption {n} of 1" for n in range(1, 5))
    assert words.qrels[words.queries[1].id] == {"1": 1}
    assert words.images == {}


def test_the_first_caption_of_val2017_is_the_one_with_the_lowest_number(tmp_path):
    benchmark = load("coco", official.write(tmp_path, official.coco_2017()), "val2017-captions")
    assert benchmark.queries[0].text == "words 12"  # its number is 30,000 - 12
    assert benchmark.texts["0"] == "words 9\nwords 6\nwords 3\nwords 0"


def test_flickr30k_reads_the_shape_of_multi30k(tmp_path):
    rows = "".join(f'{{"image": "{n}.jpg", "captions_en": ["one {n}", "two"]}}\n' for n in range(1014))
    folder = official.write(tmp_path, {"dev/captions.jsonl": rows})
    with pytest.raises(InvalidData, match="2,028 captions of val where 5,070 were published"):
        load("flickr30k", folder, "val")
    five = "".join(f'{{"image": "{n}.jpg", "captions_en": ["a {n}", "b", "c", "d", "e"]}}\n' for n in range(1014))
    official.write(tmp_path, {"dev/captions.jsonl": five})
    benchmark = load("flickr30k", folder, "val-captions")
    assert benchmark.queries[7].text == "a 7"
    assert benchmark.texts["7"] == "b\nc\nd\ne"
    with pytest.raises(NotFound, match=r"dataset_flickr30k\.json"):
        load("flickr30k", folder, "test")


def test_crisscrossed_pairs_have_their_words_and_marks(tmp_path):
    benchmark = load("crisscrossed", official.write(tmp_path, official.crisscrossed()), "sts-val")
    assert [(pair.left, pair.right, pair.score) for pair in benchmark.pairs[:3]] == [
        ("0", "0", 0.0),
        ("1", "0", 1.0),
        ("2", "0", 2.0),
    ]
    assert benchmark.texts["2"] == "c 2"
    both = load("crisscrossed", tmp_path, "sits-val")
    assert both.images["COCO_val2014_000000000000"] == "val2014/COCO_val2014_000000000000.jpg"


def test_crisscrossed_leaves_out_pairs_without_words_and_says_how_many(tmp_path):
    files = official.crisscrossed()
    files["annotations/captions_val2014.json"]["annotations"] = [
        {"id": 0, "caption": "zero"},
        {"id": 2, "caption": "two"},
    ]
    benchmark = load("crisscrossed", official.write(tmp_path, files), "sts-val")
    assert [(pair.left, pair.right) for pair in benchmark.pairs] == [("0", "0"), ("2", "0")]
    assert any("2 of 4 pairs" in note for note in benchmark.notes)


def test_inquire_fullrank_reads_queries_groups_and_its_half_of_the_judgements(tmp_path):
    benchmark = load("inquire", official.write(tmp_path, official.inquire(split="test")), "fullrank-test")
    assert benchmark.queries[1].text == "a bird doing 1"
    assert benchmark.qrels["4"] == {"train/01_Animalia/0": 1, "train/01_Animalia/1": 1}
    assert "train/other_split/1" not in benchmark.images
    assert benchmark.categories["5"] == "Context"
    assert benchmark.groups["iconic_group: Birds"] == {"4", "5"}  # one query has none


def test_inquire_without_annotations_has_queries_and_says_so(tmp_path):
    files = official.inquire()
    del files["data/inquire/inquire_annotations.csv"]
    benchmark = load("inquire", official.write(tmp_path, files), "fullrank-val")
    assert len(benchmark.queries) == 3
    assert benchmark.qrels == {}
    assert any("no judgements" in note for note in benchmark.notes)


def parquet(folder, rows, name="validation-00000-of-00001.parquet"):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as writer

    (folder / "data").mkdir(exist_ok=True)
    writer.write_table(arrow.Table.from_pylist(rows), folder / "data" / name)
    return folder


def test_inquire_rerank_gives_each_query_its_hundred(tmp_path):
    benchmark = load("inquire", parquet(tmp_path, official.inquire_rerank()), "rerank-validation")
    assert len(benchmark.queries) == 40
    query = benchmark.queries[7]
    assert query.text == "a bird doing 007"
    assert query.within == {str(7000 + n) for n in range(100)}
    assert {image for image, grade in benchmark.qrels[query.id].items() if grade} == {"7000", "7001"}
    assert benchmark.images["7003"] == "train/7/3.jpg"
    assert len(benchmark.groups["iconic_group: Birds"]) == 39


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows[:-1], "the query 'a bird doing 039' has 99 images, and 100 are needed|where 4,000"),
        (lambda rows: [*rows[:-1], rows[-2]], "is in the pool of 'a bird doing 039' already"),
        (lambda rows: [{k: v for k, v in row.items() if k != "relevant"} for row in rows], "no column 'relevant'"),
        (lambda rows: [row | {"relevant": 5} for row in rows], "'relevant' is 5, outside of 0 to 1"),
    ],
    ids=["count", "doubled", "column", "value"],
)
def test_a_damaged_rerank_table_is_one_clear_sentence(change, sentence, tmp_path):
    parquet(tmp_path, change(official.inquire_rerank()))
    with pytest.raises(InvalidData, match=sentence):
        load("inquire", tmp_path, "rerank-validation")


def test_a_rerank_table_that_is_no_table_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "test-00000-of-00004.parquet").write_bytes(b"no table")
    with pytest.raises(InvalidData, match="not a Parquet file"):
        load("inquire", tmp_path, "rerank-test")


def test_food_fuses_the_prediction_and_takes_equal_captions_for_one(tmp_path):
    benchmark = load("food", official.write(tmp_path, official.food()), "dense")
    first, second, third = benchmark.queries
    assert (first.id, first.text, first.image) == ("a_b.jpg", "noodles", tmp_path / "images" / "a b.jpg")
    assert dict(first.weights) == {"image": 0.7, "text": 0.3}
    assert second.text == "grains"
    assert third.text == ""  # no prediction: the photograph alone, and never the words of another one
    assert benchmark.texts == {"a_b.jpg": "Pasta with basil", "c.jpg": "Rice"}
    assert benchmark.qrels == {"a_b.jpg": {"a_b.jpg": 1}, "c.jpg": {"c.jpg": 1}, "d.jpg": {"a_b.jpg": 1}}
    assert any("1 photographs have no prediction" in note for note in benchmark.notes)


def test_food_ingredients_are_judged_over_the_items(tmp_path):
    benchmark = load("food", official.write(tmp_path, official.food()), "ingredients")
    item = {text: name for name, text in benchmark.texts.items()}
    assert sorted(item) == ["apples", "basil", "pasta", "rice", "salt"]
    assert benchmark.qrels["a_b.jpg"] == {item["pasta"]: 1, item["basil"]: 1}
    assert benchmark.qrels["c.jpg"] == {item["rice"]: 1, item["apples"]: 1}  # singular in one file, plural in the other
    assert benchmark.queries[0].text == "noodle, herb"


def test_a_folder_has_its_captions_as_texts_and_its_types_as_categories(tmp_path):
    folder = official.write(tmp_path, official.folder())
    benchmark = load("folder", folder)
    assert benchmark.texts == {"a": "a red cup\na cup", "b": "a dog"}
    assert benchmark.images == {name: f"images/{name}.jpg" for name in "abc"}
    assert benchmark.categories == {"q1": "label", "q2": "name"}
    assert benchmark.qrels["q1"] == {"a": 2, "b": 1}
    assert any("1 queries have no relevant image" in note for note in benchmark.notes)
    assert any("3 images are not in the folder" in note for note in benchmark.notes)
    [composed] = load("folder", folder, "composed").queries
    assert (composed.image_id, composed.text, composed.exclude) == ("a", "but blue", {"a"})


def test_a_folder_without_captions_has_its_metadata_as_texts(tmp_path):
    line = '{"id": "a", "path": "a.jpg", "label": "cat", "size": 3, "tags": ["soft", "small"]}'
    benchmark = load(
        "folder",
        official.write(tmp_path, official.folder() | {"manifest.jsonl": line, "qrels.tsv": "q1\t0\ta\t1\n"}),
        "queries",
    )
    assert benchmark.texts["a"].split() == ["cat", "soft", "small"]
    assert any("labels among them" in note for note in benchmark.notes)


def test_a_folder_above_the_right_one_points_to_it(tmp_path):
    official.write(tmp_path / "dev", official.folder())
    with pytest.raises(NotFound, match=f"name a folder that has one, as {tmp_path / 'dev'} does"):
        load("folder", tmp_path)


def test_two_halves_are_read_as_one_and_must_be_complete(tmp_path):
    full = official.sugarcrepe(full=True)
    pairs = full["data/swap_obj.json"]
    first = {key: pair for key, pair in pairs.items() if int(key) % 2}
    second = {key: pair for key, pair in pairs.items() if not int(key) % 2}
    official.write(tmp_path, {"dev/swap_obj.part.json": first, "holdout/swap_obj.part.json": second})
    benchmark = load("sugarcrepe", tmp_path, "swap_obj")
    assert {choice.id for choice in benchmark.choices} == {f"swap_obj:{n}" for n in range(246)}
    assert any("246 pairs, as published" in note for note in benchmark.notes)
    second.pop("0")
    official.write(tmp_path, {"holdout/swap_obj.part.json": second})
    with pytest.raises(InvalidData, match="245 pairs where 246 were published"):
        load("sugarcrepe", tmp_path, "swap_obj")
    official.write(tmp_path, {"holdout/swap_obj.part.json": first})
    with pytest.raises(InvalidData, match="'1' is in the other half already"):
        load("sugarcrepe", tmp_path, "swap_obj")


def test_packed_files_are_read_like_plain_ones(tmp_path):
    import gzip

    folder = official.write(tmp_path, official.sugarcrepe())
    plain = load("sugarcrepe", folder)
    for file in (folder / "dev").iterdir():
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        file.unlink()
    packed = load("sugarcrepe", folder)
    assert packed.choices == plain.choices
