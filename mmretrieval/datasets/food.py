"""Food photographs with captions and ingredients, in the shape that F4-ITS is measured on (arXiv 2508.17037)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from mmretrieval.benchmarks import Benchmark, Dataset
from mmretrieval.datasets._entries import Entry, read_json
from mmretrieval.datasets._reader import Reader
from mmretrieval.errors import InvalidData
from mmretrieval.types import Query

WEIGHTS = MappingProxyType({"image": 0.7, "text": 0.3})  # Task 2 of the published code; Task 1 takes them as arguments
TRUTHS = MappingProxyType({"dense": "dense.json", "sparse": "sparse.json", "ingredients": "sparse.json"})


class Food(Dataset):
    """Food in the shape of F4-ITS: a photograph finds its dense or sparse caption, or its ingredients.

    The folder has images/ and JSON objects from file name to text: dense.json (a sentence), sparse.json (ingredients,
    comma-separated), and predicted_dense.json, predicted_sparse.json with what a captioner wrote. A query is the
    photograph with its prediction at weights 0.7 and 0.3; without a prediction it is the photograph alone. Equal
    captions, whatever their case, are right for each other. For ingredients the candidates are items.json (a list),
    or else all items of sparse.json. The authors' own sets are not published.
    """

    paper = "arXiv 2508.17037"
    source = "a folder of yours: the sets of https://github.com/mailcorahul/f4-its are not published"
    licence = "as you say"
    splits = ("dense", "sparse", "ingredients")

    def _load(self, data: Path, split: str) -> Benchmark:
        reader = Reader(data, self.source)
        truths = _captions(reader, TRUTHS[split])
        predicted = _predictions(
            reader, "predicted_dense.json" if split == "dense" else "predicted_sparse.json", truths
        )
        queries = [_query(name, predicted.get(name, ""), data) for name in truths]
        qrels, texts = _ingredients(reader, truths) if split == "ingredients" else _whole(truths)
        absent = sum(not (data / "images" / name).is_file() for name in truths)
        if absent:
            reader.notes.append(f"{absent:,} of {len(truths):,} photographs are not in {data / 'images'}")
        return Benchmark(
            self.name,
            split,
            queries=tuple(queries),
            qrels=qrels,
            texts=texts,
            measures=("AP@10", "APmin@10") if split == "ingredients" else ("R@1", "R@5"),
            notes=tuple(reader.notes),
            licence=self.licence,
        )


def _captions(reader: Reader, name: str) -> dict[str, str]:
    [file] = reader.need(name)
    found = read_json(file)
    entry = Entry(found, str(file))
    captions = {each: entry.text(each) for each in found}
    if not captions:
        raise InvalidData(f"{file}: it holds no caption")
    reader.notes.append(f"{name}: {len(captions):,} photographs")
    return captions


def _predictions(reader: Reader, name: str, truths: Mapping[str, str]) -> dict[str, str]:
    if not reader.find(name):
        reader.notes.append(f"{name} is not here, so queries are photographs alone")
        return {}
    predicted = _captions(reader, name)
    stranger = next((each for each in predicted if each not in truths), None)
    if stranger is not None:
        raise InvalidData(f"{name}: the photograph '{stranger}' has a prediction and no true caption")
    lacking = len(truths) - len(predicted)
    if lacking:
        reader.notes.append(f"{name}: {lacking:,} photographs have no prediction and are searched by themselves")
    return predicted


def _query(name: str, predicted: str, data: Path) -> Query:
    picture = data / "images" / name
    if not predicted:
        return Query(_id(name), image=picture)
    return Query(_id(name), predicted, image=picture, weights=WEIGHTS)


def _whole(truths: Mapping[str, str]) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """Each caption is a candidate under the name of the first photograph that has it."""
    first: dict[str, str] = {}
    texts: dict[str, str] = {}
    for name, caption in truths.items():
        if first.setdefault(caption.casefold(), _id(name)) == _id(name):
            texts[_id(name)] = caption
    return {_id(name): {first[caption.casefold()]: 1} for name, caption in truths.items()}, texts


def _ingredients(reader: Reader, truths: Mapping[str, str]) -> tuple[dict[str, dict[str, int]], dict[str, str]]:
    """Judgements over the items, in small letters; a true item may stand there in the singular or the plural."""
    own = {
        name: [item for part in text.split(",") if (item := part.strip().casefold())] for name, text in truths.items()
    }
    items = sorted({item for each in own.values() for item in each})
    if files := reader.find("items.json"):
        listed = Entry({"items": read_json(files[0])}, str(files[0])).texts("items")
        items = sorted({item.strip().casefold() for item in listed if item.strip()})
    ids = {item: f"item-{number:05d}" for number, item in enumerate(items)}
    qrels: dict[str, dict[str, int]] = {}
    for name, each in own.items():
        forms = {item: next((form for form in _forms(item) if form in ids), "") for item in each}
        stranger = next((item for item, form in forms.items() if not form), None)
        if stranger is not None:
            raise InvalidData(f"items.json: the ingredient '{stranger}' of '{name}' in sparse.json is not in it")
        qrels[_id(name)] = {ids[form]: 1 for form in forms.values()}
    return qrels, {ids[item]: item for item in items}


def _forms(item: str) -> tuple[str, ...]:
    return item, f"{item}s", item.removesuffix("s")


def _id(name: str) -> str:
    return "_".join(name.split())
