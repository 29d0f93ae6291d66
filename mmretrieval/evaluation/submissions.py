"""Files for the evaluation servers of CIRR and CIRCO, written from runs, and checked before anyone uploads them.

CIRR (server http://cirr.cecs.anu.edu.au): {"version": "rc2", "metric": "recall" or "recall_subset", PAIRID: [names]},
50 names for recall and 3 of the query's own set for recall_subset, the reference in neither, at most 5 MB.
CIRCO (server https://circo.micc.unifi.it): {QUERY: [COCO ids as numbers]}, 50 a query.

Each has a writer from a run (query id to candidate ids, best first) and a list of faults, one sentence each, that is
empty for a file the server takes. Both servers want every query of the split, and no candidate twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from mmretrieval.benchmarks import Benchmark
from mmretrieval.errors import InvalidData, NotFound, UsageError
from mmretrieval.evaluation.runs import Run
from mmretrieval.types import Query

Metric = Literal["recall", "recall_subset"]
METRICS: tuple[Metric, ...] = ("recall", "recall_subset")
SERVERS = ("cirr", "circo")
VERSION = "rc2"
LENGTH = 50
SUBSET_LENGTH = 3
CIRR_MAX_BYTES = 5 * 10**6
_MAX_BYTES = 64 * 2**20


def written(benchmark: Benchmark, run: Run, metric: Metric = "recall") -> dict[str, Any]:
    """The submission of a run over a split of CIRR or CIRCO, ready to be dumped as JSON.

    References leave the ranking for CIRR; for recall_subset, so does all but the query's own set. Raises UsageError
    for a benchmark without a server, InvalidData naming the query whose ranking is missing, too short or otherwise at
    fault.
    """
    if benchmark.name not in SERVERS:
        raise UsageError(f"there is no server for {benchmark.name}: submissions are for {' and '.join(SERVERS)}")
    _refuse_strangers(benchmark, run)
    if benchmark.name == "circo":
        submission: dict[str, Any] = {
            query.id: list(map(int, _listed(benchmark, query, run))) for query in benchmark.queries
        }
    else:
        submission = {"version": VERSION, "metric": metric}
        submission |= {query.id: _listed(benchmark, query, run, metric) for query in benchmark.queries}
    found = faults(benchmark, submission)
    if found:
        raise InvalidData(found[0])
    return submission


def _refuse_strangers(benchmark: Benchmark, run: Run) -> None:
    known = set(benchmark.candidates)
    for query, ids in run.items():
        stranger = next((each for each in ids if each not in known), None)
        if stranger is not None:
            raise InvalidData(f"query '{query}': '{stranger}' is not among the candidates of {benchmark.name}")


def _listed(benchmark: Benchmark, query: Query, run: Run, metric: Metric = "recall") -> list[str]:
    if query.id not in run:
        raise InvalidData(
            f"query '{query.id}' has no ranking in the run, and every query of {benchmark.split} needs one"
        )
    may_come = benchmark.subsets[query.id] if metric == "recall_subset" else None
    ranked = [each for each in run[query.id] if each not in query.exclude and (may_come is None or each in may_come)]
    wanted = LENGTH if may_come is None else SUBSET_LENGTH
    if len(ranked) < wanted:
        of_what = "candidates besides its reference" if may_come is None else "members of its set besides the reference"
        raise InvalidData(f"query '{query.id}' ranks {len(ranked)} {of_what}, and {wanted} are needed: search deeper")
    return ranked[:wanted]


def faults(benchmark: Benchmark, submission: Any) -> list[str]:
    """What the server would refuse or what would cost points, a sentence each, in the order of the queries."""
    if not isinstance(submission, dict):
        return [f"a submission is a JSON object with a list for each query, and this is {type(submission).__name__}"]
    told: list[str] = []
    metric: str = "recall"
    lists = dict(submission)
    if benchmark.name == "cirr":
        version, metric = lists.pop("version", None), lists.pop("metric", "")
        if version != VERSION:
            told.append(f"'version' must be \"{VERSION}\", and is {json.dumps(version)[:40]}")
        if metric not in METRICS:
            told.append(f"'metric' must be one of {', '.join(METRICS)}, and is {json.dumps(metric)[:40]}")
            return told
        if (size := len(json.dumps(submission))) > CIRR_MAX_BYTES:
            told.append(f"the file has {size:,} bytes, and the server takes at most {CIRR_MAX_BYTES:,}")
    known = {query.id for query in benchmark.queries}
    candidates = set(benchmark.candidates)
    for query in benchmark.queries:
        told += _faults_of(query, lists.get(query.id), benchmark, metric, candidates)
    told += [f"query '{query}' is not in {benchmark.name} {benchmark.split}" for query in lists if query not in known]
    return told


def _faults_of(
    query: Query, found: Any, benchmark: Benchmark, metric: str, candidates: Collection[str]
) -> Iterator[str]:
    """At most a few sentences about one query's list."""
    who = f"query '{query.id}'"
    if not isinstance(found, list):
        yield f"{who} has no list" if found is None else f"{who}: its value is no list"
        return
    wanted_type = int if benchmark.name == "circo" else str
    wrong = next((each for each in found if not isinstance(each, wanted_type) or isinstance(each, bool)), None)
    if wrong is not None:
        yield f"{who}: {json.dumps(wrong)[:40]} is no {'number' if wanted_type is int else 'name'} of an image"
        return
    names = [str(each) for each in found]
    wanted = SUBSET_LENGTH if metric == "recall_subset" else LENGTH
    if len(names) != wanted:
        yield f"{who} has {len(names)} images, and {wanted} are wanted"
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{who} has '{name}' {count} times"
    for name in sorted(set(names) & query.exclude):
        yield f"{who} has its reference '{name}' in its list"
    allowed = benchmark.subsets[query.id] if metric == "recall_subset" else candidates
    for name in names:
        if name not in allowed and name not in query.exclude:
            yield f"{who} has '{name}', which is not {_where(metric)}"
            return


def _where(metric: str) -> str:
    return "in its set" if metric == "recall_subset" else "among the images of the split"


def read(path: Path) -> Any:
    """A submission file; raises NotFound without it, InvalidData for one that is no JSON or holds a query twice."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InvalidData(f"{path}: larger than {_MAX_BYTES >> 20} MiB, which no submission is")
        return json.loads(path.read_bytes(), object_pairs_hook=_without_doubles)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"{path}: not JSON that can be read ({error})") from error


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
    doubled = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if doubled:
        raise InvalidData(f"query '{doubled[0]}' stands twice in the submission, and only one list can count")
    return dict(pairs)
