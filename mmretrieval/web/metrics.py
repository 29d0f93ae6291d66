"""What Prometheus reads of a server: requests, searches, steps, calls of the language model, and what is kept."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mmretrieval.web.results import API

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from mmretrieval.types import Ranking
    from mmretrieval.web.desk import Desk

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Metrics:
    """The counters of one server, apart from those of any other in the process."""

    def __init__(self, desk: Desk) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "mmretrieval_requests", "Answered requests.", ("route", "method", "status"), registry=registry
        )
        self._seconds = Histogram(
            "mmretrieval_request_seconds", "Time to an answer.", ("route",), registry=registry, buckets=_SECONDS
        )
        self._searches = Counter("mmretrieval_searches", "Finished searches.", ("status",), registry=registry)
        self._steps = Counter("mmretrieval_steps", "Steps of searches.", ("step", "status"), registry=registry)
        self._step_seconds = Counter(
            "mmretrieval_step_seconds", "Time in steps of searches.", ("step",), registry=registry
        )
        self._calls = Counter("mmretrieval_model_calls", "Asks of the language model.", ("from",), registry=registry)
        self._tokens = Counter("mmretrieval_model_tokens", "Tokens of the language model.", registry=registry)
        for name, about, value in (
            ("mmretrieval_records", "Pictures in the index.", lambda: desk.collection.count),
            ("mmretrieval_uploads_bytes", "Memory that uploads take.", lambda: desk.uploads.bytes_kept),
            ("mmretrieval_searches_under_way", "Searches that run or wait.", lambda: desk.under_way),
        ):
            Gauge(name, about, registry=registry).set_function(value)

    def count_search(self, ranking: Ranking) -> None:
        """One search more, with its steps."""
        self._searches.labels(ranking.status).inc()
        for step in ranking.steps:
            self._steps.labels(step.name, step.status).inc()
            self._step_seconds.labels(step.name).inc(step.seconds)
            self._calls.labels("model").inc(step.calls)
            self._calls.labels("cache").inc(step.cached)
            self._tokens.inc(step.tokens)

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """One request more; `route` is the pattern of its address, so that there are few of them."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All of it in the text format of Prometheus."""
        return generate_latest(self._registry)


class Counting:
    """An ASGI application that counts the requests to another one."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def seeing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, seeing)
        finally:
            method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "DELETE", "OPTIONS") else "other"
            self._metrics.count_request(_route(scope, status), method, status, time.perf_counter() - began)


def _route(scope: Scope, status: int) -> str:
    """The pattern of the address; "page" for all of the page, "none" where there is nothing."""
    path, own = scope["path"], getattr(scope.get("route"), "path", "")
    if not own or status in (401, 404, 421, 429) or not path.startswith(("/api/", "/health", "/metrics")):
        return "none" if status in (401, 404, 421, 429) else "page"
    return own if own.startswith(("/api/", "/health", "/metrics")) else f"{API}{own}"
