"""Small files in the shape in which publishers distribute their benchmarks; `full` gives them their published size.

Small ones are named as halves (NAME.part.json), since only these may hold less than was published. The content is
drawn from counters: nothing of any benchmark is in here.
"""

import csv
import io
import json
from pathlib import Path


def write(folder, files):
    """Write each value under its path: texts as they are, all else as JSON."""
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return folder


def named(official, full):
    """The official path, or the name of the half."""
    path = Path(official)
    return official if full else f"dev/{path.stem}.part{path.suffix}"


def table(columns, rows):
    """A CSV text."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerows([columns, *rows])
    return text.getvalue()


def cirr(full=False, split="val"):
    queries, images = {"val": (4181, 2297), "test1": (4148, 2315)}[split] if full else (3, 8)
    names = [f"dev-{n}-0-img0" for n in range(images)]
    entries = []
    for n in range(queries):
        members = [names[(n + place) % images] for place in range(6)]
        entries.append(
            {
                "pairid": 100 + n,
                "reference": members[0],
                "caption": f"make it {n}",
                "img_set": {"id": n, "members": members, "reference_rank": 0},
            }
        )
        if split == "val":
            entries[-1] |= {"target_hard": members[1], "target_soft": {members[1]: 1.0, members[2]: 0.5}}
    return {
        named(f"cirr/captions/cap.rc2.{split}.json", full): entries,
        named(f"cirr/image_splits/split.rc2.{split}.json", full): {name: f"./dev/{name}.png" for name in names},
        f"cirr_{split}_captions.jsonl": "\n".join(
            json.dumps({"candidate": name, "captions": [f"a photo of {name}", "again"]}) for name in names[1:]
        ),
    }


def circo(full=False, split="val"):
    queries, images = {"val": 220, "test": 800}[split] if full else 3, 123_403 if full else 9
    entries = []
    for n in range(queries):
        entry = {"id": n, "reference_img_id": n + 1, "relative_caption": f"has {n} more", "shared_concept": "a thing"}
        truths = {"target_img_id": n + 2, "gt_img_ids": [n + 2, n + 3], "semantic_aspects": ["addition", "negation"]}
        entries.append(entry | (truths if split == "val" else {}))
    gallery = {"images": [{"id": n + 1} for n in range(images)]}
    return {
        named(f"annotations/{split}.json", full): entries,
        named("COCO2017_unlabeled/annotations/image_info_unlabeled2017.json", full): gallery,
    }


FASHIONIQ = {"dress": (2017, 3817), "shirt": (2038, 6346), "toptee": (1961, 5373)}


def fashioniq(full=False):
    files = {}
    for category, sizes in FASHIONIQ.items():
        queries, images = sizes if full else (2, 4)
        names = [f"{category[0].upper()}{n:05d}" for n in range(images)]
        files[named(f"image_splits/split.{category}.val.json", full)] = names
        files[named(f"captions/cap.{category}.val.json", full)] = [
            {
                "candidate": names[n % images],
                "target": names[(n + 1) % images],
                "captions": [f"is {n} times longer.", " Has dots, "],
            }
            for n in range(queries)
        ]
    return files


GENECIS = {"focus_attribute": (2000, 9), "change_attribute": (2112, 14)} | dict.fromkeys(
    ("focus_object", "change_object"), (1960, 14)
)


def genecis(full=False):
    files = {}
    for task, (queries, others) in GENECIS.items():
        picture = _coco_picture if task.endswith("object") else _boxed_picture
        files[named(f"genecis/{task}.json", full)] = [
            {
                "condition": f"colour {n}",
                "reference": picture(n),
                "target": picture(n + 1),
                "gallery": [picture(n + 2 + place) for place in range(others)],
            }
            for n in range(queries if full else 2)
        ]
    return files


def _coco_picture(n):
    return {"val_image_id": 100 + n}


def _boxed_picture(n):
    return {"image_id": 100 + n, "instance_bbox": [1.5, 2, 30, 40]}


SUGARCREPE = {
    "add_att": 692,
    "add_obj": 2062,
    "replace_att": 788,
    "replace_obj": 1652,
    "replace_rel": 1406,
    "swap_att": 666,
    "swap_obj": 246,
}


def sugarcrepe(full=False):
    return {
        named(f"data/{category}.json", full): {
            str(n): {
                "filename": f"{n % 50:012d}.jpg",
                "caption": f"A dog and {n} cats.",
                "negative_caption": f"A cat and {n} dogs.",
            }
            for n in range(size if full else 2)
        }
        for category, size in SUGARCREPE.items()
    }


VISDIAL = (
    "VisDial_v1.0_queries_val",
    "ChatGPT_BLIP2",
    "Human_BLIP2",
    "FLAN_ALPACA_XXL_BLIP2",
    "Unanswered_ChatGPT_BLIP2",
)


def visdial(full=False):
    dialogues, images = (2064, 50_000) if full else (2, 5)
    space = [f"unlabeled2017/{n:012d}.jpg" for n in range(images)]
    files = {named("ChatIR_Protocol/Search_Space_val_50k.json", full): space}
    for speaker in VISDIAL:
        files[named(f"dialogues/{speaker}.json", full)] = [
            {"img": space[n], "dialog": [f"caption {n}", *(f"{speaker} asks {n} {r}? yes" for r in range(10))]}
            for n in range(dialogues)
        ]
    return files


def karpathy(name, full=False, split="test"):
    sizes = {("coco", "test"): (5000, 25_010), ("flickr30k", "test"): (1000, 5000), ("flickr30k", "val"): (1014, 5070)}
    images, captions = sizes[name, split] if full else (3, 15)
    entries = []
    for n in range(images):
        number = 5 + (n < captions - 5 * images)
        sentences = [{"raw": f"caption {place} of {n}", "sentid": 10 * n + place} for place in range(number)]
        entry = {"filename": f"{n}.jpg", "split": split, "sentences": sentences}
        if name == "coco":
            entry |= {"filepath": "val2014", "cocoid": n}
        entries.append(entry)
    entries.append({"filename": "other.jpg", "split": "train", "sentences": [{"raw": "no", "sentid": 9_999_999}]})
    if name == "coco":
        entries[-1] |= {"filepath": "val2014", "cocoid": 999_999}
    return {named(f"dataset_{name}.json", full): {"images": entries, "dataset": name}}


def coco_2017(full=False):
    images, captions = (5000, 25_014) if full else (3, 15)
    return {
        named("annotations/captions_val2017.json", full): {
            "images": [{"id": n, "file_name": f"{n:012d}.jpg", "license": 4} for n in range(images)],
            "annotations": [
                {"id": 30_000 - n, "image_id": n % images, "caption": f"words {n}"} for n in range(captions)
            ],
        }
    }


CROSSED = {
    "sts": ("caption1", "caption2", 44_009),
    "sis": ("image1", "image2", 42_767),
    "sits": ("caption", "image", 44_722),
}


def crisscrossed(full=False):
    files = {"annotations/captions_val2014.json": {"annotations": [{"id": n, "caption": f"c {n}"} for n in range(300)]}}
    for task, (left, right, size) in CROSSED.items():
        rows = []
        for n in range(size if full else 4):
            one, other = (_side(column, n % 300 if column != right else n // 300) for column in (left, right))
            rows.append((one, other, f"{n % 6}.0", "c2c_isim"))
        files[named(f"data/{task}_val.csv", full)] = table((left, right, "agg_score", "sampling_method"), rows)
    return files


def _side(column, n):
    return f"COCO_val2014:sentid:{n}" if column.startswith("caption") else f"COCO_val2014_{n:012d}.jpg"


def inquire(full=False, split="val"):
    size = {"val": 50, "test": 200}[split] if full else 3
    columns = ("", "query_id", "query_text", "supercategory", "category", "iconic_group")
    groups = ("Appearance", "Behavior", "Context", "Species")
    queries = [
        (n, n + 3, f"a bird doing {n}", groups[n % 4], f"kind {n % 5}", "Birds" if n else "") for n in range(size)
    ]
    judged = [(n + 3, f"train/0{n}_Animalia/{place}.jpg") for n in range(size) for place in range(2)]
    judged.append((999, "train/other_split/1.jpg"))
    return {
        named(f"data/inquire/inquire_queries_{split}.csv", full): table(columns, queries),
        "data/inquire/inquire_annotations.csv": table(("query_id", "image_path"), judged),
    }


def inquire_rerank(queries=40, pool=100):
    """Rows of the Parquet table."""
    return [
        {
            "image": {"bytes": b"", "path": ""},
            "query": f"a bird doing {q:03d}",
            "relevant": int(n < 2),
            "clip_score": 1.0 - n / pool,
            "inat24_image_id": 1000 * q + n,
            "inat24_file_name": f"train/{q}/{n}.jpg",
            "supercategory": "Behavior",
            "category": "Defense",
            "iconic_group": "Birds" if q else None,
        }
        for q in range(queries)
        for n in range(pool)
    ]


def food():
    return {
        "dense.json": {"a b.jpg": "Pasta with basil", "c.jpg": "Rice", "d.jpg": "pasta with Basil"},
        "sparse.json": {"a b.jpg": "pasta, Basil", "c.jpg": "rice, apple", "d.jpg": "pasta"},
        "predicted_dense.json": {"a b.jpg": "noodles", "c.jpg": "grains"},
        "predicted_sparse.json": {"a b.jpg": "noodle, herb"},
        "items.json": ["pasta", "basil", "rice", "apples", "salt"],
    }


def folder():
    lines = [
        {"id": "a", "path": "images/a.jpg", "captions": ["a red cup", "a cup"]},
        {"id": "b", "path": "images/b.jpg", "caption": "a dog"},
        {"id": "c", "path": "images/c.jpg", "label": "cat"},
    ]
    queries = [{"qid": "q1", "type": "label", "text": "cup"}, {"qid": "q2", "type": "name", "text": "nothing"}]
    composed = [{"qid": "c1", "type": "change", "reference": "a", "text": "but blue"}]
    return {
        "manifest.jsonl": "\n".join(map(json.dumps, lines)),
        "queries.jsonl": "\n".join(map(json.dumps, queries)),
        "qrels.tsv": "q1\t0\ta\t2\nq1\t0\tb\t1\nq2\t0\ta\t0\n",
        "composed_queries.jsonl": "\n".join(map(json.dumps, composed)),
        "composed_qrels.tsv": "c1\t0\tb\t1\n",
    }
