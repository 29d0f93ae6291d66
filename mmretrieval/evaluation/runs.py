"""TREC files: qrels (graded judgements) and runs (rankings of many queries), read and written.

Columns are parted by tabs or by blanks; where tabs make the right number of columns, a query id may hold blanks. An
error names file and line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmretrieval.errors import InvalidData, NotFound

Qrels = dict[str, dict[str, int]]
Run = dict[str, list[str]]


def read_qrels(path: Path) -> Qrels:
    """Query id to image id to grade, from lines of `qid 0 docid grade`, in the order of the file."""
    qrels: Qrels = {}
    for number, (qid, _, docid, grade) in _columns(path, 4, "qid 0 docid grade"):
        if not re.fullmatch("[+-]?[0-9]+", grade):
            raise InvalidData(f"{path}, line {number}: the grade '{grade}' is no whole number")
        known = qrels.setdefault(qid, {}).setdefault(docid, int(grade))
        if known != int(grade):
            raise InvalidData(f"{path}, line {number}: image '{docid}' is judged {known} and {grade} for query '{qid}'")
    if not qrels:
        raise InvalidData(f"{path} holds no judgement: each line should read `qid 0 docid grade`")
    return qrels


def write_qrels(path: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Four columns parted by tabs."""
    rows = [(qid, "0", docid, str(grade)) for qid, judged in qrels.items() for docid, grade in judged.items()]
    _write(path, rows, "\t")


def read_run(path: Path) -> Run:
    """Query id to image ids, best first: by score, as trec_eval does, and equal scores by id; ranks are not read."""
    return {qid: list(found) for qid, found in read_scores(path).items()}


def read_scores(path: Path) -> dict[str, dict[str, float]]:
    """Query id to image id to score, in the order of `read_run`."""
    scored: dict[str, dict[str, float]] = {}
    for number, (qid, _, docid, _, score, _) in _columns(path, 6, "qid Q0 docid rank score tag"):
        found = scored.setdefault(qid, {})
        if docid in found:
            raise InvalidData(f"{path}, line {number}: image '{docid}' stands twice in the ranking of query '{qid}'")
        found[docid] = _finite(score, f"{path}, line {number}")
    return {qid: dict(sorted(found.items(), key=lambda each: (-each[1], each[0]))) for qid, found in scored.items()}


def write_run(path: Path, run: Mapping[str, Sequence[str]], tag: str = "mmretrieval") -> None:
    """Six columns parted by blanks; the score is 1/rank, since trec_eval sorts by it and breaks ties its own way.

    Raises InvalidData for an id that holds blanks; `without_blanks` makes query ids fit.
    """
    rows = [
        (qid, "Q0", docid, str(rank), f"{1 / rank:.9g}", tag)
        for qid, ids in run.items()
        for rank, docid in enumerate(ids, start=1)
    ]
    _write(path, rows, " ")


def without_blanks(run: Mapping[str, Sequence[str]]) -> tuple[dict[str, Sequence[str]], list[str]]:
    """The run with `_` for each blank in its query ids, and those ids that were changed by it.

    Raises InvalidData when two ids become one.
    """
    changed = [qid for qid in run if len(qid.split()) != 1]
    renamed = {"_".join(qid.split()): ids for qid, ids in run.items()}
    if len(renamed) != len(run):
        raise InvalidData(f"two query ids differ in blanks alone, as '{changed[0]}' does: a TREC run cannot hold both")
    return renamed, changed


def _columns(path: Path, count: int, shape: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and columns of every line that is not blank."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise InvalidData(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    for number, line in enumerate(lines, start=1):
        columns = [column.strip() for column in line.split("\t")]
        if len(columns) != count or not all(columns):
            columns = line.split()
        if columns and len(columns) != count:
            raise InvalidData(f"{path}, line {number}: {len(columns)} columns where `{shape}` has {count}")
        if columns:
            yield number, columns


def _finite(text: str, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InvalidData(f"{place}: the score '{text}' is no finite number")
    return value


def _write(path: Path, rows: Sequence[tuple[str, ...]], separator: str) -> None:
    for row in rows:
        for column in row:
            if not column or len(column.split()) != 1 or column != column.strip():
                raise InvalidData(f"{path}: '{column}' is empty or holds blanks, so it cannot stand in a TREC file")
    path.write_text("".join(separator.join(row) + "\n" for row in rows), encoding="utf-8")
