"""Clients of a running server: many at once for a while, or so many searches of all kinds one after the other.

They speak HTTP over bare connections: a client library takes as much of the shared processors as the server, and then
the server waits for its clients.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

TOP_K = 10
SEARCH = "/api/v1/search"
PATIENCE = 60.0
KEPT_EACH = 97  # one answer in so many is kept, to be compared afterwards


@dataclass(slots=True)
class Answers:
    """What clients saw: seconds of each answered search, what went wrong, and some answers by their text."""

    seconds: list[float] = field(default_factory=list)
    wrong: Counter[str] = field(default_factory=Counter)
    kept: dict[str, list[str]] = field(default_factory=dict)
    wall: float = 0.0
    cpu: float = 0.0  # of the clients, who share the machine with the server

    def take(self, body: dict[str, Any], status: int, told: bytes, seconds: float) -> None:
        self.seconds.append(seconds)
        if status != 200:
            self.wrong[f"status {status}"] += 1
            return
        hits = [hit["id"] for hit in json.loads(told)["hits"]]
        if len(set(hits)) != TOP_K:
            self.wrong[f"{len(set(hits))} hits instead of {TOP_K}"] += 1
        if len(self.seconds) % KEPT_EACH == 0 and body.keys() == {"text", "top_k"}:
            self.kept[body["text"]] = hits


def word_searches(texts: Iterator[str]) -> Iterator[dict[str, Any]]:
    return ({"text": text, "top_k": TOP_K} for text in texts)


async def _client(address: str, bodies: Iterator[dict[str, Any]], until: float, answers: Answers) -> None:
    """Over a connection of its own, from one answer to the next question."""
    place = urlsplit(address)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        for body in bodies:
            if time.monotonic() >= until:
                return
            began = time.perf_counter()
            status, told = await asyncio.wait_for(_post(reader, writer, place.netloc, body), PATIENCE)
            answers.take(body, status, told, time.perf_counter() - began)
    except (OSError, EOFError, TimeoutError) as error:
        answers.wrong[type(error).__name__] += 1
    finally:
        writer.close()


async def _post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, body: dict[str, Any]
) -> tuple[int, bytes]:
    """Status and body of the answer; the server tells the length of every answer to a search."""
    sent = json.dumps(body).encode()
    head = f"POST {SEARCH} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(sent)}\r\n\r\n"
    writer.write(head.encode() + sent)
    answered = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = re.search(r"^content-length: *(\d+)", answered, re.IGNORECASE | re.MULTILINE)
    assert length, f"an answer without a length: {answered}"
    return int(answered.split(" ", 2)[1]), await reader.readexactly(int(length[1]))


def run(address: str, bodies: Iterator[dict[str, Any]], clients: int, seconds: float, answers: Answers) -> None:
    """So many clients at once, each with a connection of its own and asking again as soon as it is answered."""

    async def every() -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(_client(address, bodies, until, answers) for _ in range(clients)))

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
