"""A ranking as a file to keep: CSV for spreadsheets, JSON, or a TREC run."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from io import StringIO
from typing import Literal

from mmretrieval.errors import InvalidData
from mmretrieval.ids import is_fit
from mmretrieval.types import Ranking
from mmretrieval.web.form import SearchForm
from mmretrieval.web.results import to_json

Format = Literal["csv", "json", "trec"]

COLUMNS = ("rank", "id", "path", "score", "by", "why", "first_stage_rank", "duplicates")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Export:
    """A file: its content as text, its type, and a name for it."""

    text: str
    media_type: str
    name: str


def export(form: SearchForm, ranking: Ranking, kind: Format) -> Export:
    """The ranking in this format. Raises InvalidData for ids that cannot stand in a TREC run."""
    if kind == "csv":
        return Export(_csv(form, ranking), "text/csv; charset=utf-8", "results.csv")
    if kind == "json":
        text = json.dumps(to_json(form, ranking), ensure_ascii=False, indent=1, allow_nan=False)
        return Export(text, "application/json", "results.json")
    return Export(_trec(form, ranking), "text/plain; charset=utf-8", "results.trec")


def _csv(form: SearchForm, ranking: Ranking) -> str:
    out = StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for rank, hit in enumerate(ranking.hits, start=form.offset + 1):
        score = "" if hit.score is None else repr(float(hit.score))
        before = "" if hit.first_stage_rank is None else hit.first_stage_rank
        duplicates = " ".join(hit.duplicates)
        words = [_harmless(text) for text in (hit.id, hit.path, hit.by, hit.why, duplicates)]
        rows.writerow([rank, words[0], words[1], score, words[2], words[3], before, words[4]])
    return out.getvalue()


def _harmless(text: str) -> str:
    """A spreadsheet takes what begins like this for a formula and runs it; an apostrophe makes it text."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) or text.startswith(_FORMULA) else text


def _trec(form: SearchForm, ranking: Ranking) -> str:
    """As `mmretrieval eval` writes runs: the score is 1/rank, since readers sort by it."""
    for hit in ranking.hits:
        if not is_fit(hit.id):
            raise InvalidData(f"'{hit.id}' holds blanks, so it cannot stand in a TREC run: take CSV or JSON")
    qid = "_".join((form.text or form.image_id or "q").split()) or "q"
    places = enumerate(ranking.hits, start=form.offset + 1)
    return "".join(f"{qid} Q0 {hit.id} {rank} {1 / rank:.9g} mmretrieval\n" for rank, hit in places)
