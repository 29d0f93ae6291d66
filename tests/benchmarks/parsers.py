"""Answers that models really gave, through our parser and through the published rules of other rerankers.

    python tests/benchmarks/parsers.py [--out STEM]

Reads out-rankllm-listwise and out-mmvet below the folder of the variable MMRETRIEVAL_DATA (else ../shared/data), and
writes STEM.md and STEM.json (by default assets/reports/parsers): counts alone, no text of the recordings. Takes a
minute.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from fake_models import GARBAGE  # noqa: E402 (the tests are no package)
from published_parsers import cotrr, mm_r5, rank_llm, rerankers  # noqa: E402
from recorded_answers import LISTWISE, PROSE, rows, slow_order  # noqa: E402

from mmretrieval.parsing import choice, permutation  # noqa: E402

Parser = Callable[[str, int], "list[int] | None"]
NO_ANSWER = "no answer"
UNITS = ("[", "{", '{"ranking":', "[1] > ", "1, ", "1. [1]\n", '"', "<think>", '{"a":[1,2]}', "ab ", "(1) ", "1:2,")
OTHERS: dict[str, Parser] = {
    "mmretrieval": lambda text, n: permutation(text, n)[0],
    "rank_llm": rank_llm,
    "rerankers": rerankers,
    "CoTRR": cotrr,
    "MM-R5": mm_r5,
}


def main() -> None:
    wanted = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wanted.add_argument("--out", type=Path, default=ROOT / "assets" / "reports" / "parsers")
    out = wanted.parse_args().out
    corpora = {name: list(texts) for name, texts in _corpora()}
    found = {
        name: {parser: _outcomes(texts, read) for parser, read in OTHERS.items()} for name, texts in corpora.items()
    }
    told = {
        "corpora": {name: len(texts) for name, texts in corpora.items()},
        "outcomes": found,
        "statuses": {name: dict(Counter(permutation(t, n)[1] for t, n, _ in texts)) for name, texts in corpora.items()},
        "growth": _growth(),
    }
    out.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    out.with_suffix(".md").write_text(_page(told), encoding="utf-8")


def _corpora() -> Iterable[tuple[str, Iterable[tuple[str, int, list[int] | None]]]]:
    """Name, and texts with the number of candidates and the ids from 1 that a slow reading finds, None for no order."""
    recorded = [(row["response"], row["n_candidates"]) for row in rows(LISTWISE)]
    yield "rankings", [(text, n, slow_order(text, n)[0]) for text, n in recorded]
    as_json = [(ids, n) for text, n in recorded if (ids := slow_order(text, n)[0]) is not None]
    yield "rankings as JSON", [(json.dumps({"ranking": ids}), n, ids) for ids, n in as_json]
    yield "prose", [(row["output"], 20, None) for row in rows(PROSE)]
    kinds = [write for kind, (write, worst) in GARBAGE.items() if worst == "failed"]
    yield "errors, refusals, strangers", [(write(n), n, None) for write in kinds for n in (5, 10, 20)]


def _outcomes(texts: Iterable[tuple[str, int, list[int] | None]], read: Parser) -> dict[str, int]:
    """How often a parser did what, each text in one class alone; the first that holds."""
    found: Counter[str] = Counter()
    for text, n, ids in texts:
        order = read(text, n)
        first = [number - 1 for number in dict.fromkeys(ids or ()) if 1 <= number <= n]
        right = [*first, *(place for place in range(n) if place not in first)]
        if order is None:
            found["right to give none" if ids is None else "crash or lost query"] += 1
        elif len(set(order)) < len(order) or len(order) != n:
            found["holds a candidate twice"] += 1
        elif ids is None:
            found["right to give none" if order == list(range(n)) else "invents an order"] += 1
        else:
            found["right order" if order == right else "another order"] += 1
    return dict(found)


def _growth() -> dict[str, float]:
    """How many times longer four times as long a text takes; 4 is linear, 16 quadratic. CPU time, the best of five."""
    return {
        unit: round(_seconds(unit * (80_000 // len(unit))) / _seconds(unit * (20_000 // len(unit))), 1)
        for unit in UNITS
    }


def _seconds(text: str) -> float:
    def once() -> float:
        began = time.process_time()
        permutation(text, 20)
        choice(text, ["1", "2"])
        return time.process_time() - began

    return min(once() for _ in range(5))


def _page(told: dict[str, Any]) -> str:
    classes = ("right order", "right to give none", "another order", "invents an order", "holds a candidate twice",
               "crash or lost query")  # fmt: skip
    lines = [
        "# Reading the answers of models",
        "",
        "Answers that models gave, recorded by others, through our parser (`mmretrieval/parsing.py`) and through the",
        "published rules of other rerankers, stated anew in `tests/published_parsers.py`. What is right was read by a",
        "slow second reading (`tests/recorded_answers.py`), which follows the text sign by sign. By",
        "`python tests/benchmarks/parsers.py`.",
        "",
        f"- rankings: {told['corpora']['rankings']} answers of Vicuna models and early RankVicuna checkpoints to the",
        "  question for an order of 20 passages: about half of the malformed ones and about an eighth of the",
        "  clean ones of all that castorini/rank_llm recorded.",
        f"- rankings as JSON: the {told['corpora']['rankings as JSON']} of them that are orders, their ids as",
        '  {"ranking": [...]}, which is the form that CoTRR asks for.',
        f"- prose: {told['corpora']['prose']} answers of vision-language models to questions about pictures (MM-Vet),",
        "  none of them an order of 20 pictures.",
        "- errors, refusals, strangers: what a server or a model sends instead of an answer, and ids of nothing.",
        "",
    ]
    for corpus, parsers in told["outcomes"].items():
        shown = [each for each in classes if any(each in outcome for outcome in parsers.values())]
        lines += [f"## {corpus[0].upper()}{corpus[1:]}", "", "| parser | " + " | ".join(shown) + " |"]
        lines += ["|---|" + "---|" * len(shown)]
        for parser, outcome in parsers.items():
            lines.append(f"| {parser} | " + " | ".join(str(outcome.get(each, 0)) for each in shown) + " |")
        statuses = ", ".join(f"{count} {status}" for status, count in sorted(told["statuses"][corpus].items()))
        lines += ["", f"Our statuses: {statuses}.", ""]
    return "\n".join([*lines, *_remarks(told["growth"])])


def _remarks(growth: dict[str, float]) -> list[str]:
    return [
        "## What is behind the columns",
        "",
        "- rank_llm, and rerankers with RankGPT's code, take every number in a text for an id. So they never lose a",
        "  candidate and never crash, and they read an error message, a refusal or a remark on 20 passages as an",
        "  order, without a word about it: their callers cannot tell such an answer from a ranking.",
        "- CoTRR keeps repeated ids, so that a candidate stands twice and another is pushed out at the cut of 50: 25",
        "  of the 4,148 published lists of its GPT-4o run hold a name twice (see `tests/test_recorded_rankings.py`).",
        "  Of anything but JSON it makes nothing; for a picture plus a change that is a crash, and a lost query.",
        "- MM-R5 reads its own answer tags alone, keeps repeated ids, and gives the old order for all else, unmarked.",
        "- The models were asked for chains such as [3] > [1], and neither for JSON nor for tags: the lines of CoTRR",
        "  and MM-R5 under rankings, and of MM-R5 under JSON, say only what happens to a form that was not foreseen.",
        "- An order that is no permutation of the candidates cannot come out of ours (`tests/test_parsing.py`).",
        "",
        "## Time",
        "",
        "Four times as long a text, made of one piece again and again, takes so many times as long (4 is linear, 16",
        "would be quadratic): " + ", ".join(f"`{unit!r}` {times}" for unit, times in growth.items()) + ".",
        "",
    ]


if __name__ == "__main__":
    main()
