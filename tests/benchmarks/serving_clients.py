"""Clients of a running server: many at once for a while, or so many searches of all kinds one after the other."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

TOP_K = 10
SEARCH = "/api/v1/search"
KEPT_EACH = 97  # one answer in so many is kept, to be compared afterwards


@dataclass(slots=True)
class Answers:
    """What clients saw: seconds of each answered search, what went wrong, and some answers by their text."""

    seconds: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    kept: dict[str, list[str]] = field(default_factory=dict)
    wall: float = 0.0
    cpu: float = 0.0  # of the clients, who share the machine with the server

    def take(self, body: dict[str, Any], response: httpx.Response, seconds: float) -> None:
        self.seconds.append(seconds)
        if response.status_code != 200:
            self.wrong[f"status {response.status_code}"] += 1
            return
        hits = [hit["id"] for hit in response.json()["hits"]]
        if len(set(hits)) != TOP_K:
            self.wrong[f"{len(set(hits))} hits instead of {TOP_K}"] += 1
        if len(self.seconds) % KEPT_EACH == 0 and body.keys() == {"text", "top_k"}:
            self.kept[body["text"]] = hits


def word_searches(texts: Iterator[str]) -> Iterator[dict[str, Any]]:
    return ({"text": text, "top_k": TOP_K} for text in texts)


async def _client(client: httpx.AsyncClient, bodies: Iterator[dict[str, Any]], until: float, answers: Answers) -> None:
    for body in bodies:
        if time.monotonic() >= until:
            return
        began = time.perf_counter()
        try:
            response = await client.post(SEARCH, json=body)
        except httpx.HTTPError as error:
            answers.wrong[type(error).__name__] += 1
            continue
        answers.take(body, response, time.perf_counter() - began)


def run(address: str, bodies: Iterator[dict[str, Any]], clients: int, seconds: float, answers: Answers) -> None:
    """So many clients at once, each with a connection of its own and asking again as soon as it is answered."""

    async def every() -> None:
        until = time.monotonic() + seconds
        connections = httpx.Limits(max_connections=clients)
        # Without TLS there are no certificates to read, which takes as long as ten searches.
        async with httpx.AsyncClient(base_url=address, timeout=60.0, limits=connections, verify=False) as client:
            await asyncio.gather(*(_client(client, bodies, until, answers) for _ in range(clients)))

    wall, cpu = time.perf_counter(), time.process_time()
    asyncio.run(every())
    answers.wall += time.perf_counter() - wall
    answers.cpu += time.process_time() - cpu


def for_a_while(address: str, bodies: Iterator[dict[str, Any]], clients: int, seconds: float) -> Answers:
    """The clients begin no further search after so many seconds."""
    answers = Answers()
    run(address, bodies, clients, seconds, answers)
    return answers


def mixed(texts: Iterator[str], ids: list[str], token: str) -> Iterator[dict[str, Any]]:
    """Searches of all kinds: words, a picture of the collection, an upload with words, examples, a filter, others."""
    for number, text in enumerate(texts):
        own, other = ids[number * 131 % len(ids)], ids[number * 257 % len(ids)]
        yield from (
            {"text": text, "top_k": TOP_K},
            {"image_id": own, "top_k": TOP_K},
            {"text": text, "image": token, "top_k": TOP_K},
            {"text": text, "filter": f"stars >= {1 + number % 4} AND domain = 'food'", "top_k": TOP_K},
            {"text": text, "like": [own], "unlike": [other], "top_k": TOP_K},
            {"text": text, "minus": ["snow"], "fuse": None, "top_k": TOP_K, "offset": number % 50},
        )


def so_many(
    address: str, bodies: Iterator[dict[str, Any]], count: int, clients: int, each: int, look: Callable[[], float]
) -> tuple[Answers, list[float]]:
    """So many searches by some clients; `look` is called before the first and after every `each` of them."""
    answers, seen = Answers(), [look()]
    for _ in range(count // each):
        run(address, itertools.islice(bodies, each), clients, float("inf"), answers)
        seen.append(look())
    return answers, seen


def one_by_one(address: str, bodies: Iterator[dict[str, Any]], count: int) -> Answers:
    """So many searches by a lone client over one connection."""
    answers = Answers()
    run(address, itertools.islice(bodies, count), 1, float("inf"), answers)
    return answers
