"""A damaged annotation file is one sentence that names the file, the entry and what is wrong with it."""

import gzip
import json

import official_files as official
import pytest

from mmretrieval import registry
from mmretrieval.datasets import _entries
from mmretrieval.errors import InvalidData

CIRR, CIRR_SPLIT = "dev/cap.rc2.val.part.json", "dev/split.rc2.val.part.json"
CIRCO, CIRCO_IDS = "dev/val.part.json", "dev/image_info_unlabeled2017.part.json"
IQ, IQ_SPLIT = "dev/cap.dress.val.part.json", "dev/split.dress.val.part.json"
GENE, SUGAR = "dev/focus_object.part.json", "dev/add_att.part.json"
TALK, SPACE = "dev/VisDial_v1.0_queries_val.part.json", "dev/Search_Space_val_50k.part.json"
COCO, COCO_17, FLICKR = (
    "dev/dataset_coco.part.json",
    "dev/captions_val2017.part.json",
    "dev/dataset_flickr30k.part.json",
)
CXC, CAPTIONS = "dev/sts_val.part.csv", "annotations/captions_val2014.json"
INQ, MARKS = "dev/inquire_queries_val.part.csv", "data/inquire/inquire_annotations.csv"
WORDS = "cirr_val_captions.jsonl"


def entry(file, number, **fields):
    """Overwrite fields of an entry; None takes a field away."""

    def damage(files):
        found = files[file][number]
        for name, value in fields.items():
            if value is None:
                del found[name]
            else:
                found[name] = value

    return damage


def inside(file, *path_and_value):
    *path, last, value = path_and_value

    def damage(files):
        found = files[file]
        for step in path:
            found = found[step]
        found[last] = value

    return damage


def twice(file, *path):
    def damage(files):
        found = files[file]
        for step in path:
            found = found[step]
        found.append(found[0])

    return damage


def put(file, value):
    return lambda files: files.update({file: value})


def swapped(file, old, new):
    return lambda files: files.update({file: files[file].replace(old, new, 1)})


CASES = [
    ("cirr", "val", entry(CIRR, 1, pairid=None), r"cap\.rc2\.val\.part\.json, entry 2: there is no 'pairid'"),
    ("cirr", "val", entry(CIRR, 1, pairid="x"), "entry 2: 'pairid' must be a whole number, and is text"),
    ("cirr", "val", entry(CIRR, 1, pairid=True), "entry 2: 'pairid' must be a whole number, and is true or false"),
    ("cirr", "val", entry(CIRR, 2, pairid=100), "entry 3: the pairid '100' is there already, in .*entry 1"),
    ("cirr", "val", entry(CIRR, 0, reference="dev-9-9-img9"), "entry 1: the image 'dev-9-9-img9' is not among"),
    ("cirr", "val", entry(CIRR, 0, target_hard="dev-7-0-img0"), "target 'dev-7-0-img0' is the reference, or not in"),
    ("cirr", "val", entry(CIRR, 0, target_hard="dev-0-0-img0"), "target 'dev-0-0-img0' is the reference, or not in"),
    ("cirr", "val", entry(CIRR, 0, caption=["a"]), "entry 1: 'caption' must be text, and is a list"),
    ("cirr", "val", inside(CIRR, 0, "img_set", []), "'img_set' must be an object, and is a list"),
    ("cirr", "val", inside(CIRR, 0, "img_set", "members", ["dev-0-0-img0"] * 6), "its img_set must hold 6 images"),
    ("cirr", "val", inside(CIRR, 0, "img_set", "members", [1]), "'members' must hold text only, and a whole number"),
    ("cirr", "val", inside(CIRR_SPLIT, "dev-1-0-img0", 7), "'dev-1-0-img0' must be text"),
    ("cirr", "val", put(CIRR_SPLIT, ["a"]), "an object with named fields was expected, and a list stands there"),
    ("cirr", "val", put(CIRR, {"a": 1}), "a JSON list was expected, and an object stands there"),
    ("cirr", "val", put(CIRR, "[{]"), "not JSON .* at line 1, column 3"),
    ("cirr", "val", put(CIRR, "[" * 100_000), "not JSON"),
    ("cirr", "val", put(CIRR, "[3]"), "entry 1: an object with named fields was expected, and a whole number"),
    ("cirr", "val", put(CIRR, "[1" + "0" * 5000 + "]"), "not JSON that can be read"),
    ("cirr", "val", put(WORDS, '{"candidate": "x", "captions": []}'), "line 1: the image 'x' is not among"),
    ("cirr", "val", put(WORDS, '{"candidate": "dev-1-0-img0"}'), "line 1: there is no 'captions'"),
    ("circo", "val", entry(CIRCO, 0, gt_img_ids=[3]), "entry 1: its gt_img_ids must hold the target 2"),
    ("circo", "val", entry(CIRCO, 0, gt_img_ids=[2, 3, 3]), "and each image once"),
    ("circo", "val", entry(CIRCO, 0, gt_img_ids=[2, 99]), "entry 1: the image '99' is not among"),
    ("circo", "val", entry(CIRCO, 0, gt_img_ids=["2"]), "'gt_img_ids' must hold whole numbers only, and text"),
    ("circo", "val", entry(CIRCO, 1, reference_img_id=77), "entry 2: the image '77' is not among"),
    ("circo", "val", entry(CIRCO, 1, id=0), "the id '0' is there already"),
    ("circo", "val", entry(CIRCO, 1, relative_caption=" "), "entry 2: 'relative_caption' is empty"),
    ("circo", "val", entry(CIRCO, 1, semantic_aspects=None), "entry 2: there is no 'semantic_aspects'"),
    ("circo", "val", inside(CIRCO_IDS, "images", 0, "id", "one"), "images 1: 'id' must be a whole number"),
    ("fashioniq", "val", entry(IQ, 0, target="B0"), "entry 1: the image 'B0' is not among"),
    ("fashioniq", "val", entry(IQ, 1, candidate="B0"), "entry 2: the image 'B0' is not among"),
    ("fashioniq", "val", entry(IQ, 1, captions=["a"]), "entry 2: it has 1 captions, and two are needed"),
    ("fashioniq", "val", entry(IQ, 1, captions=None), "entry 2: there is no 'captions'"),
    ("fashioniq", "val", put(IQ_SPLIT, {"a": 1}), "'images' must be a list, and is an object"),
    ("genecis", "objects", inside(GENE, 0, "target", {"image_id": 1}), "there is no 'val_image_id'"),
    ("genecis", "objects", inside(GENE, 1, "gallery", []), "entry 2: its gallery has 0 images, and 14 are needed"),
    ("genecis", "objects", inside(GENE, 1, "condition", 4), "'condition' must be text"),
    (
        "genecis",
        "focus_attribute",
        inside("dev/focus_attribute.part.json", 0, "target", "instance_bbox", [1, 2]),
        "'instance_bbox' must be x, y, width and height",
    ),
    ("sugarcrepe", "all", inside(SUGAR, "0", "filename", "a.png"), "'a.png' is no picture of COCO"),
    ("sugarcrepe", "all", inside(SUGAR, "1", {"filename": "1.jpg"}), r"add_att\.part\.json, 1: there is no 'caption'"),
    ("sugarcrepe", "all", put(SUGAR, []), "an object with named fields was expected"),
    ("visdial", "human", entry(TALK, 0, img="unlabeled2017/9.jpg"), "the image 'unlabeled2017/9.jpg' is not among"),
    ("visdial", "human", entry(TALK, 1, dialog=["a"]), "the dialog has 1 rounds, and a caption and 10 are needed"),
    ("visdial", "human", twice(TALK), "entry 3: the image 'unlabeled2017/000000000000.jpg' is there already"),
    ("visdial", "human-texts", lambda files: files["dev/ChatGPT_BLIP2.part.json"].pop(), "has no dialogue about"),
    ("visdial", "human", put(SPACE, [3]), "'images' must hold text only, and a whole number is in it"),
    ("coco", "test", inside(COCO, "images", 0, "sentences", []), "images 1: the image has no caption"),
    ("coco", "test", inside(COCO, "images", 0, "sentences", 0, {"raw": "a"}), "there is no 'sentid'"),
    ("coco", "test", twice(COCO, "images"), "the filename '0.jpg' is there already"),
    ("coco", "val2017", twice(COCO_17, "images"), "the image id '0' is there already"),
    ("coco", "val2017", twice(COCO_17, "annotations"), "the caption id '30000' is there already"),
    (
        "coco",
        "val2017",
        inside(COCO_17, "annotations", 4, "image_id", 44),
        "annotations 5: the image '44' is not among",
    ),
    ("coco", "val2017", inside(COCO_17, "annotations", []), "the image '0' has no caption"),
    ("flickr30k", "test", inside(FLICKR, "images", 0, "split", None), "images 1: there is no 'split'"),
    ("flickr30k", "test", put(FLICKR, {"annotations": []}), "there is no 'images'; the fields are: annotations"),
    ("crisscrossed", "sts-val", swapped(CXC, "agg_score", "score"), "there is no column 'agg_score'"),
    ("crisscrossed", "sts-val", swapped(CXC, "0.0", "6.5"), "line 2: 'agg_score' is 6.5, outside of 0 to 5"),
    ("crisscrossed", "sts-val", swapped(CXC, "0.0", "high"), "line 2: 'agg_score' must be a number"),
    ("crisscrossed", "sts-val", swapped(CXC, "0.0", "nan"), "line 2: 'agg_score' is nan"),
    (
        "crisscrossed",
        "sts-val",
        swapped(CXC, ":sentid:0", ":image:0"),
        "'COCO_val2014:image:0' in caption1 does not read",
    ),
    ("crisscrossed", "sts-val", swapped(CXC, "sentid:1,", "sentid:0,"), "line 3: the pair .* is there already"),
    ("crisscrossed", "sts-val", swapped(CXC, ",c2c_isim", ""), "line 2: the row does not have the 4 columns"),
    ("crisscrossed", "sts-val", swapped(CXC, "c2c_isim", '"c2c'), "not CSV"),
    (
        "crisscrossed",
        "sts-val",
        inside(CAPTIONS, "annotations", [{"id": 999, "caption": "c"}]),
        "no pair of data/sts_val.csv has its captions",
    ),
    ("inquire", "fullrank-val", swapped(INQ, "query_text", "text"), "there is no column 'query_text'"),
    ("inquire", "fullrank-val", swapped(INQ, "1,4,", "1,3,"), "line 3: the query_id '3' is there already"),
    ("inquire", "fullrank-val", swapped(INQ, "1,4,", "1,four,"), "line 3: 'query_id' must be a whole number"),
    ("inquire", "fullrank-val", swapped(INQ, "a bird doing 1", ""), "line 3: 'query_text' is empty"),
    ("inquire", "fullrank-val", swapped(MARKS, "image_path", "image"), "there is no column 'image_path'"),
    (
        "inquire",
        "fullrank-val",
        put(MARKS, "query_id,image_path\n3,a.jpg\n"),
        "the query '4' has no relevant image, and 2 lack one",
    ),
    ("food", "dense", inside("dense.json", "c.jpg", ["rice"]), "'c.jpg' must be text, and is a list"),
    (
        "food",
        "dense",
        inside("predicted_dense.json", "z.jpg", "soup"),
        "the photograph 'z.jpg' has a prediction and no",
    ),
    ("food", "ingredients", put("items.json", ["pasta", "basil", "rice"]), "the ingredient 'apple' of 'c.jpg'"),
    ("food", "dense", put("dense.json", {}), "it holds no caption"),
    ("folder", "queries", swapped("qrels.tsv", "\ta\t2", "\tz\t2"), "the image 'z', judged for query 'q1', is not in"),
    ("folder", "queries", swapped("qrels.tsv", "\t2", "\ttwo"), "line 1: the grade 'two' is no whole number"),
    ("folder", "queries", swapped("queries.jsonl", "q2", "q1"), "holds the query 'q1' twice"),
    ("folder", "queries", swapped("manifest.jsonl", '"id": "b"', '"id": "a"'), "the id 'a' stands in line 1 already"),
    ("folder", "queries", swapped("manifest.jsonl", '"path"', '"file"'), "manifest.jsonl:1: there is no 'path'"),
    (
        "folder",
        "queries",
        swapped("manifest.jsonl", '["a red cup", "a cup"]', "3"),
        "'captions' must be a list of texts",
    ),
    (
        "folder",
        "composed",
        swapped("composed_queries.jsonl", '"a"', '"z"'),
        "reference 'z' of query 'c1' is not an image",
    ),
]
FILES = {
    "coco test": lambda: official.karpathy("coco"),
    "coco val2017": official.coco_2017,
    "flickr30k test": lambda: official.karpathy("flickr30k"),
}


def load(name, folder, split):
    return registry.load("datasets", name)().load(folder, split)


@pytest.mark.parametrize(
    ("name", "split", "damage", "sentence"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)]
)
def test_damage_is_one_clear_sentence(name, split, damage, sentence, tmp_path):
    files = FILES.get(f"{name} {split}", getattr(official, name, None))()
    load(name, official.write(tmp_path / "whole", files), split)  # it is the damage that is told of, and nothing else
    damage(files)
    with pytest.raises(InvalidData, match=sentence) as told:
        load(name, official.write(tmp_path / "damaged", files), split)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 400


def test_every_loader_is_damaged_here():
    assert {case[0] for case in CASES} == set(registry.names("datasets"))


def test_a_file_cut_off_in_its_packing_is_refused(tmp_path):
    folder = official.write(tmp_path, official.sugarcrepe())
    whole = gzip.compress((folder / SUGAR).read_bytes())
    (folder / SUGAR).unlink()
    for content in (whole[:40], b"not packed at all", whole[:-4] + b"\0\0\0\0"):
        (folder / f"{SUGAR}.gz").write_bytes(content)
        with pytest.raises(InvalidData, match=r"add_att\.part\.json\.gz: not a whole gzip file"):
            load("sugarcrepe", folder, "all")


def test_a_file_that_unpacks_to_more_than_the_limit_is_refused_unread(tmp_path, monkeypatch):
    folder = official.write(tmp_path, official.sugarcrepe())
    monkeypatch.setattr(_entries, "MAX_BYTES", 2**20)
    (folder / SUGAR).unlink()
    (folder / f"{SUGAR}.gz").write_bytes(gzip.compress(b" " * 2**21))
    with pytest.raises(InvalidData, match="larger than 1 MiB"):
        load("sugarcrepe", folder, "all")


def test_a_file_that_is_not_utf_8_is_refused(tmp_path):
    folder = official.write(tmp_path, official.sugarcrepe())
    (folder / SUGAR).write_bytes(json.dumps({"é": 1}, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(InvalidData, match=r"not UTF-8 text .* at byte 2"):
        load("sugarcrepe", folder, "all")


def test_a_pair_of_equal_captions_is_kept_and_named(tmp_path):
    files = official.sugarcrepe()
    files[SUGAR]["1"]["negative_caption"] = files[SUGAR]["1"]["caption"]
    benchmark = load("sugarcrepe", official.write(tmp_path, files), "all")
    assert len(benchmark.choices) == 14
    assert any("none is right: add_att:1" in note for note in benchmark.notes)


def test_an_image_that_stands_twice_in_a_gallery_is_named(tmp_path):
    files = official.genecis()
    files[GENE][0]["gallery"][3] = files[GENE][0]["target"]
    files[GENE][1]["gallery"][3] = files[GENE][1]["reference"]
    benchmark = load("genecis", official.write(tmp_path, files), "focus_object")
    assert any("focus_object:0: an image stands twice" in note for note in benchmark.notes)
    assert any("focus_object:1: the reference '101' stands in its own gallery" in note for note in benchmark.notes)
