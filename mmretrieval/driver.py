"""Serves the asks of many flows: all that are pending go to the model in one call, round after round."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mmretrieval.asks import MLLM, Ask, Failed, Reply, answering, fitted
from mmretrieval.errors import MMRetrievalError
from mmretrieval.stages import AskKind, Flow

T = TypeVar("T")

MAX_ROUNDS = 10_000  # a flow that asks this often has lost its way; better an error than an endless run


@dataclass(slots=True)
class Outcome(Generic[T]):
    """How one flow ended: its value, or the error that stopped it; and what it cost."""

    value: T | None = None
    error: Exception | None = None
    calls: int = 0
    cached: int = 0
    tokens: int = 0
    unasked: int = 0  # asks that reached no model, as when a budget is spent
    failures: tuple[str, ...] = ()  # the reasons of the asks that got no answer


def drive(
    starts: Sequence[Callable[[], Flow[T]]],
    mllm: MLLM | None,
    needs: frozenset[AskKind],
    *,
    stop_at_error: bool,
) -> list[Outcome[T]]:
    """Run all flows to their end; one `mllm.answer` a round, with the pending asks in the order of the flows.

    An error inside a flow ends that flow alone and is kept in its outcome; with `stop_at_error` the others are
    closed too, so that no further model call is made. Asks of a kind outside `needs` are such an error.
    """
    flows = [_Running(start, needs) for start in starts]
    try:
        for flow in flows:
            flow.advance(None)
        for _ in range(MAX_ROUNDS):
            pending = [flow for flow in flows if flow.asks is not None]
            if not pending or (stop_at_error and any(flow.outcome.error for flow in flows)):
                return [flow.outcome for flow in flows]
            _serve(pending, mllm)
        for flow in flows:
            flow.fail_if_pending(MMRetrievalError(f"no end after {MAX_ROUNDS} rounds of asks"))
        return [flow.outcome for flow in flows]
    finally:
        for flow in flows:
            flow.close()


class _Running(Generic[T]):
    """One flow between rounds; `asks` is None once it has ended."""

    def __init__(self, start: Callable[[], Flow[T]], needs: frozenset[AskKind]) -> None:
        self._start = start
        self._needs = needs
        self._generator: Generator[list[Ask], list[Reply], T] | None = None
        self.asks: list[Ask] | None = None
        self.outcome: Outcome[T] = Outcome()

    def advance(self, replies: list[Reply] | None) -> None:
        """Start the flow (None), or hand it the replies to what it asked."""
        try:
            self.asks = self._checked(self._next(replies))
        except StopIteration as end:
            self.asks, self.outcome.value = None, end.value
        except Exception as error:  # noqa: BLE001 - methods are foreign code; the caller raises or reports it
            self.fail(error)

    def fail(self, error: Exception) -> None:
        self.asks, self.outcome.error = None, error

    def fail_if_pending(self, error: Exception) -> None:
        if self.asks is not None:
            self.fail(error)

    def close(self) -> None:
        if self._generator is not None:
            try:
                self._generator.close()
            except Exception as error:  # noqa: BLE001 - a method may fail while it is stopped, too
                self.outcome.error = self.outcome.error or error

    def _next(self, replies: list[Reply] | None) -> list[Ask]:
        if self._generator is not None:
            return next(self._generator) if replies is None else self._generator.send(replies)
        begun = self._start()
        if not isinstance(begun, Generator):
            raise StopIteration(begun)
        self._generator = begun
        return next(begun)

    def _checked(self, asks: list[Ask]) -> list[Ask]:
        if not isinstance(asks, list | tuple):
            raise MMRetrievalError(f"a list of asks was expected, and {type(asks).__name__} was yielded")
        for ask in asks:
            if type(ask) not in self._needs:
                declared = ", ".join(sorted(kind.__name__ for kind in self._needs)) or "none"
                raise MMRetrievalError(f"it asks for {type(ask).__name__}, and its `needs` names: {declared}")
        return list(asks)


def _serve(pending: Sequence[_Running[T]], mllm: MLLM | None) -> None:
    asks = [ask for flow in pending for ask in flow.asks or ()]
    try:
        replies = _answered(asks, mllm)
    except Exception as error:  # noqa: BLE001 - back ends are foreign code; every flow that waited reports it
        for flow in pending:
            flow.fail(error)
        return
    for flow in pending:
        own, replies = replies[: len(flow.asks or ())], replies[len(flow.asks or ()) :]
        _count(flow.outcome, own)
        flow.advance(own)


def _answered(asks: list[Ask], mllm: MLLM | None) -> list[Reply]:
    if not asks:
        return []
    if mllm is None:
        raise MMRetrievalError("it asks a language model, and the pipeline has none")
    replies = mllm.answer([fitted(ask, mllm) for ask in asks])
    if len(replies) != len(asks):
        raise MMRetrievalError(f"the model '{mllm.spec}' gave {len(replies)} replies to {len(asks)} asks")
    return [answering(ask, reply) for ask, reply in zip(asks, replies, strict=True)]


def _count(outcome: Outcome[T], replies: Sequence[Reply]) -> None:
    outcome.cached += sum(reply.cached for reply in replies)
    unasked = sum(isinstance(reply, Failed) and not reply.asked for reply in replies)
    outcome.unasked += unasked
    outcome.calls += sum(not reply.cached for reply in replies) - unasked
    outcome.tokens += sum(reply.tokens for reply in replies)
    outcome.failures += tuple(reply.reason for reply in replies if isinstance(reply, Failed))
