"""The serving benchmark's figures as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WANTED = 0.8


def report(found: Mapping[str, Any]) -> str:
    load, machine = found["load"], found["machine"]
    return f"""# A server under load

{found["vectors"]:,} vectors of the demo model, exact search, top 10. They are encodings of 1,000 drawn pictures,
each copied with noise, since a search costs the same whatever a vector shows. Every query has words of its own, so
nothing is answered from memory. Server and clients are two processes, with one thread for numbers each, of one
machine with {machine["processors"]} processors, of which another program kept one busy all the time.

## {load["clients"]} clients at once for {load["seconds"]:.0f} seconds

{_load(load)}

{_limits(load)}

## One client alone

Wanted were less than 200 ms for a first-stage search with the demo encoder.

| | p50 ms | p95 ms | slowest |
|---|---|---|---|
| before the load | {_times(found["lone"]["ms"])} |
| after the load | {_times(found["lone after"]["ms"])} |

## The page in a browser

{_page(found["page"])}

## Memory

{_memory(found["memory"])}

Python {machine["python"]} ({machine["kind"]}). While this ran, {machine["load"]:.0f} processes waited for the
{machine["processors"]} processors on average, so all times by the clock are several times those of a quiet machine:
believe the CPU times and the ratios. Written by `tests/benchmarks/serving.py`.
"""


def _load(load: Mapping[str, Any]) -> str:
    wrong = sum(load["wrong"].values())
    told = f"**{wrong}**" + (f" ({', '.join(f'{n} × {what}' for what, n in load['wrong'].items())})" if wrong else "")
    ms, same = load["ms"], load["agreement"]
    return f"""| | |
|---|---|
| searches | {load["searches"]:,} |
| wrong or failed | {told} |
| compared with the Python API, of which the same hit by hit | {same["compared"]}, {same["same"]} |
| searches a second | **{load["per_second"]:.1f}** |
| ms: p50, p95, p99, slowest | {ms["p50"]:.0f}, **{ms["p95"]:.0f}**, {ms["p99"]:.0f}, {ms["max"]:.0f} |
| CPU ms a search: server, clients | {load["server_cpu_ms"]:.2f}, {load["client_cpu_ms"]:.2f} |
| processors that the server got | {load["server_cores"]:.2f} |"""


def _limits(load: Mapping[str, Any]) -> str:
    names = {"alone": "one text at a time", "together": "50 texts at a time"}
    rows = [
        f"| {told} | {load['encoder'][name]['per_second']:.0f} | {load['encoder'][name]['cpu_ms']:.2f} "
        f"| **{load['ratio'][name]:.2f}** | **{load['cpu_ratio'][name]:.2f}** |"
        for name, told in names.items()
    ]
    return "\n".join(
        [
            "What the encoder alone does with the same kind of texts, before and after the load:",
            "",
            "| encoder alone | texts a second | CPU ms a text | searches a second / this | this / CPU of a search |",
            "|---|---|---|---|---|",
            *rows,
            "",
            _reached(load),
        ]
    )


def _reached(load: Mapping[str, Any]) -> str:
    clock, cpu = load["ratio"]["alone"], load["cpu_ratio"]["alone"]
    verdict = "reached" if clock >= WANTED else "not reached"
    return f"""A server whose encoder reads one text at a time can do no more than the first row. Wanted were
{WANTED:g} of that: **{verdict}**, with {clock:.2f} by the clock and {cpu:.2f} by CPU time. Searches that wait for each
other run together, so the encoder and the scan of the vectors cost a fraction of a lone search; the rest is HTTP, which
is as long for every search. By the clock the server also gives way to its {load["clients"]} clients, who took
{load["client_cpu_ms"]:.1f} ms of the same processors for every {load["server_cpu_ms"]:.1f} ms of its own."""


def _times(ms: Mapping[str, float]) -> str:
    return f"{ms['p50']:.1f} | {ms['p95']:.1f} | {ms['max']:.0f}"


def _page(page: Mapping[str, Any]) -> str:
    told = {
        "first paint": "the first paint",
        "search box": "the search box can be used",
        "cards": "after Enter, the first card of the answer",
        "pictures": "after Enter, the first picture",
    }
    rows = "\n".join(f"| {words} | {page['ms'][name]:.0f} |" for name, words in told.items())
    return f"""Headless Chromium on the same machine, an empty cache each time, {page["files"]} files; medians of
{page["visits"]} visits after a first one.

| | ms |
|---|---|
{rows}"""


def _memory(memory: Mapping[str, Any]) -> str:
    seen: Sequence[float] = memory["mib"]
    wrong = sum(memory["wrong"].values())
    row = " ".join(f"{mib:.0f}" for mib in seen)
    kinds = (
        "words; a picture of the collection; an upload with words; a filter; examples; words to avoid, further pages"
    )
    return f"""{memory["searches"]:,} searches of six kinds by eight clients ({kinds}); wrong or failed: {wrong}.
MiB of the server's own memory before the first and after every {memory["every"]}: {row}.

In the second half it grew by {seen[-1] - seen[len(seen) // 2]:+.1f} MiB."""
