"""Serves the asks of many flows: all that are pending go to the model in one call, round after round."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mmretrieval.asks import MLLM, STOPPED, Ask, Failed, Reply, answering, fitted
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


class Listener:
    """Hears what is answered while flows run, and may stop them; this one does neither. An error in it ends all."""

    soon: bool = False  # whether replies should come in short parts

    @property
    def stopped(self) -> bool:
        """Whether no more is to be asked: then what is open gets `Failed`, and the flows end with what they have."""
        return False

    def heard(self, flow: int, number: int, ask: Ask, reply: Reply) -> None:
        """A flow, by its place, got the reply to its ask of that number from 0; the ask as the model was given it."""

    def answered(self, flows: Sequence[int]) -> None:
        """These flows have heard a part of what they wait for."""


NOBODY = Listener()


def drive(
    starts: Sequence[Callable[[], Flow[T]]],
    mllm: MLLM | None,
    needs: frozenset[AskKind],
    *,
    stop_at_error: bool,
    listener: Listener = NOBODY,
) -> list[Outcome[T]]:
    """Run all flows to their end; the model is given all pending asks of a round at once, in the order of the flows.

    An error inside a flow ends that flow alone and is kept in its outcome; with `stop_at_error` the others are
    closed too, so that no further model call is made. Asks of a kind outside `needs` are such an error.
    """
    flows = [_Running(number, start, needs) for number, start in enumerate(starts)]
    try:
        for flow in flows:
            flow.advance(None)
        for _ in range(MAX_ROUNDS):
            pending = [flow for flow in flows if flow.asks is not None]
            if not pending or (stop_at_error and any(flow.outcome.error for flow in flows)):
                return [flow.outcome for flow in flows]
            _serve(pending, mllm, listener)
        for flow in flows:
            flow.fail_if_pending(MMRetrievalError(f"no end after {MAX_ROUNDS} rounds of asks"))
        return [flow.outcome for flow in flows]
    finally:
        for flow in flows:
            flow.close()


class _Running(Generic[T]):
    """One flow between rounds; `asks` is None once it has ended."""

    def __init__(self, number: int, start: Callable[[], Flow[T]], needs: frozenset[AskKind]) -> None:
        self.number = number
        self.asked = 0  # in the rounds before this one
        self._start = start
        self._needs = needs
        self._generator: Generator[list[Ask], list[Reply], T] | None = None
        self.asks: list[Ask] | None = None
        self.outcome: Outcome[T] = Outcome()

    def advance(self, replies: list[Reply] | None) -> None:
        """Start the flow (None), or hand it the replies to what it asked."""
        self.asked += len(replies or ())
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


def _serve(pending: Sequence[_Running[T]], mllm: MLLM | None, listener: Listener) -> None:
    owners = [(flow, place) for flow in pending for place in range(len(flow.asks or ()))]
    parts = _parts([ask for flow in pending for ask in flow.asks or ()], mllm, soon=listener.soon)
    known: dict[int, Reply] = {}
    while not listener.stopped:
        try:
            part = next(parts, None)
        except Exception as error:  # noqa: BLE001 - back ends are foreign code; every flow that waited reports it
            for flow in pending:
                flow.fail(error)
            return
        if part is None:
            break
        for at, (ask, reply) in part.items():
            known[at] = reply
            flow, place = owners[at]
            listener.heard(flow.number, flow.asked + place, ask, reply)
        listener.answered(sorted({owners[at][0].number for at in part}))
    parts.close()
    replies = [known.get(at, Failed(STOPPED, asked=False)) for at in range(len(owners))]
    for flow in pending:
        own, replies = replies[: len(flow.asks or ())], replies[len(flow.asks or ()) :]
        _count(flow.outcome, own)
        flow.advance(own)


def _parts(
    asks: Sequence[Ask], mllm: MLLM | None, *, soon: bool
) -> Generator[Mapping[int, tuple[Ask, Reply]], None, None]:
    """Each ask as the model got it and its reply, by the place of the ask, in parts as they come."""
    if not asks:
        return
    if mllm is None:
        raise MMRetrievalError("it asks a language model, and the pipeline has none")
    given = [fitted(ask, mllm) for ask in asks]
    told = 0
    for part in mllm.replies(given, soon=soon):
        told += len(part)
        yield {at: (given[at], answering(asks[at], reply)) for at, reply in part.items()}
    if told != len(asks):
        raise MMRetrievalError(f"the model '{mllm.spec}' gave {told} replies to {len(asks)} asks")


def _count(outcome: Outcome[T], replies: Sequence[Reply]) -> None:
    outcome.cached += sum(reply.cached for reply in replies)
    unasked = sum(isinstance(reply, Failed) and not reply.asked for reply in replies)
    outcome.unasked += unasked
    outcome.calls += sum(not reply.cached for reply in replies) - unasked
    outcome.tokens += sum(reply.tokens for reply in replies)
    outcome.failures += tuple(reply.reason for reply in replies if isinstance(reply, Failed))
