"""Answers that language models gave, recorded by others; and a slow reading of each, character by character."""

import gzip
import json
import os
import re
from pathlib import Path

DATA = Path(os.environ.get("MMRETRIEVAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
LISTWISE = DATA / "out-rankllm-listwise/dev/responses.jsonl.gz"
CHOICES = DATA / "out-sugarcrepe-gpt4v/dev/gpt4v_answers.jsonl.gz"
PROSE = DATA / "out-mmvet/dev/outputs.jsonl.gz"
COTRR = DATA / "out-cotrr-cirr/dev"


def rows(file):
    """The objects of a compressed file of lines."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def slow_order(text, n):
    """(ids from 1 as written, status) of an answer of the form [3] > [1]; None for ids where it is no such answer.

    Read sign by sign: a number counts when it stands between signs of a chain, a first one may have lost its bracket,
    and "1." before a bracket numbers a line.
    """
    text = re.sub(r"\b[0-9]+\.\s+(?=\[)", "", text.strip())
    begin = text.find("[") if re.match(r"[^\[>]*[a-z]{3}", text) else 0
    text = text[begin:] if begin >= 0 else ""
    if re.search("[A-Za-z]{2}", text) or text.count(">") + text.count("] [") == 0:
        return None, "failed"
    pieces = [piece.strip() for piece in text.replace("] [", "] > [").split(">")]
    is_cut = not re.fullmatch(r"\[?[0-9]+\]?", pieces[-1]) or (pieces[-1].startswith("[") and pieces[-1][-1] != "]")
    if is_cut:
        pieces.pop()
    ids = [int(piece.strip("[]")) for piece in pieces]
    clean = sorted(ids) == list(range(1, n + 1)) and all(piece[0] == "[" and piece[-1] == "]" for piece in pieces)
    return ids, "partial" if is_cut else "ok" if clean else "repaired"


def authors_choice(row):
    """What the authors of SugarCrepe read from an answer: "1", "2", or None."""
    read = {row["caption"]: "1", row["negative_caption"]: "2"}.get(row["multiple_choice_answer"])
    swapped = {"1": "2", "2": "1"}
    return swapped[read] if read and row["order"] != "positive-first" else read
