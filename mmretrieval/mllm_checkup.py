"""A look at a language model before it is trusted: can it see, does it tell two pictures apart, what does it cost?

A few drawn pictures and asks. A model behind a wrong chat template, or a server that drops pictures, still
answers fluently; its scores then lie close together, and that is what this finds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mmretrieval import prompts
from mmretrieval.asks import MLLM, Ask, ChoiceScores, Failed, Generate, Reply, ScoreChoices, Text, fitted

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_NATS = 1.0  # by which "yes" must gain from the wrong picture to the right one
NO_YES = ": rerankers that ask for a yes or a grade, such as pointwise, hardly help with this model"
NO_CHOICE = ": rerankers that let it choose among pictures, such as setwise, hardly help with this model"
_NO_DIFFERENCE = 1e-6  # nats
_SIDE = 256
_BATCH = 8
_SCENES = 6  # pairs of scenes; a small model is judged by more than one


State = Literal["ok", "weak", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    "weak" is what this model does not do well, so that some rerankers hardly help; "broken" is what stops it from
    being of any use, and can be mended: it does not answer, or pictures do not reach it.
    """

    name: str
    state: State
    detail: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A drawn picture and words that fit it alone."""

    image: Image
    words: str


Pair = tuple[Shown, Shown]


def check_up(model: MLLM) -> Iterator[Finding]:
    """Asks the model about 20 times; one that `knows` only drawn scenes is shown six pairs of them, in 60 asks.

    Of a model that does not answer the first ask of a kind, no other of that kind is asked.
    """
    pairs = drawn_scenes() if getattr(model, "knows", "") else drawn_shapes()
    shown = pairs[0]
    if why := _failure(_asked(model, [_trial(model, shown)])):
        yield Finding("answers", "broken", why)
        return
    yield _abilities(model)
    if Generate in model.answers:
        yield _words(model, shown)
    if ScoreChoices not in model.answers:
        return
    if why := _failure(_asked(model, [prompts.fits(shown[0].image, shown[0].words)])):
        yield Finding("yes and no", "broken", why)
        return
    yield _separation(model, pairs)
    yield _order(model, pairs)
    yield _tokens(model, shown)
    yield from _time(model, shown)


def _trial(model: MLLM, shown: Sequence[Shown]) -> Ask:
    """The first ask: whether anything comes back."""
    return (
        prompts.caption(shown[0].image) if Generate in model.answers else ScoreChoices(("yes or no?",), ("yes", "no"))
    )


def drawn_shapes() -> list[Pair]:
    """A red disc and a blue square on white."""
    from PIL import Image, ImageDraw

    disc, square = (Image.new("RGB", (_SIDE, _SIDE), "white") for _ in range(2))
    box = (_SIDE // 5, _SIDE // 5, _SIDE * 4 // 5, _SIDE * 4 // 5)
    ImageDraw.Draw(disc).ellipse(box, fill="red")
    ImageDraw.Draw(square).rectangle(box, fill="blue")
    return [(Shown(disc, "a red circle"), Shown(square, "a blue square"))]


def drawn_scenes() -> list[Pair]:
    """Plates and landscapes of the demo world, each with one of the things that it alone shows of the two."""
    from mmretrieval.demo.render import render
    from mmretrieval.demo.sample import scene
    from mmretrieval.training.vlm_words import items

    def shown(number: int, domain: Literal["food", "nature"]) -> Shown:
        drawn = scene("checkup", number, domain)
        return Shown(render(drawn, _SIDE, f"checkup {number}"), items(drawn)[0])

    numbers = range(3, 3 + _SCENES)  # the first three of ten are nearly the same
    return [(shown(number, "food"), shown(number, "nature")) for number in numbers]


def _asked(model: MLLM, asks: Sequence[Ask]) -> list[Reply]:
    return model.answer([fitted(ask, model) for ask in asks])


def _failure(replies: Sequence[Reply]) -> str:
    """Why the first of the asks that failed did; empty when none did."""
    return next((reply.reason for reply in replies if isinstance(reply, Failed)), "")


def _abilities(model: MLLM) -> Finding:
    kinds = ", ".join(sorted(kind.__name__ for kind in model.answers)) or "nothing"
    form = "short" if model.compact else "full"
    return Finding("answers", "ok", f"{model.spec} answers {kinds}, and gets the {form} questions")


def _words(model: MLLM, shown: Sequence[Shown]) -> Finding:
    replies = _asked(model, [prompts.caption(one.image) for one in shown])
    texts = [reply.text for reply in replies if isinstance(reply, Text)]
    if len(texts) < len(replies):
        return Finding("text", "broken", _failure(replies))
    told = "; ".join(f"{one.words}: '{text[:60]}'" for one, text in zip(shown, texts, strict=True))
    if not all(texts):
        return Finding("text", "broken", f"it says nothing about a picture ({told}): its answer may all be thought")
    if texts[0] == texts[1]:
        return Finding("text", "broken", f"it says the same about both pictures ({told}): it may not see them")
    return Finding("text", "ok", told)


def _separation(model: MLLM, pairs: Sequence[Pair]) -> Finding:
    asks = [prompts.fits(one.image, other.words) for pair in pairs for other in pair for one in pair]
    replies = _asked(model, asks)
    odds = [r.log_probs[0] - r.log_probs[1] for r in replies if isinstance(r, ChoiceScores)]
    if len(odds) < len(replies):
        return Finding("yes and no", "broken", _failure(replies))
    gains = [
        sign * (odds[at] - odds[at + 1]) for at, sign in zip(range(0, len(odds), 2), (1, -1) * len(pairs), strict=True)
    ]
    mean, right = sum(gains) / len(gains), sum(gain > 0 for gain in gains)
    told = f"{right} of {len(gains)} things are likelier in the picture that shows them"
    if any(isinstance(reply, ChoiceScores) and reply.in_words for reply in replies):
        told, is_good = f"{told}; named in words, without log-probabilities", right == len(gains)
    else:
        told = f"{told}, by {mean:.2f} nats on average (least {min(gains):.2f}); {LEAST_NATS:g} is wanted"
        is_good = mean > LEAST_NATS
    if max(map(abs, gains)) < _NO_DIFFERENCE:
        return Finding("yes and no", "broken", "the picture makes no difference to its answers: it may not see them")
    return Finding("yes and no", "ok", told) if is_good else Finding("yes and no", "weak", told + NO_YES)


def _order(model: MLLM, pairs: Sequence[Pair]) -> Finding:
    """Which of two pictures, asked in both orders: a good judge names the picture, not the place."""
    asks, wanted = [], []
    for pair in pairs:
        images = [one.image for one in pair]
        for at, one in enumerate(pair):
            asks += [prompts.which_of_list(images, one.words), prompts.which_of_list(images[::-1], one.words)]
            wanted += [at, 1 - at]
    replies = _asked(model, asks)
    scores = [reply.log_probs for reply in replies if isinstance(reply, ChoiceScores)]
    if len(scores) < len(replies):
        return Finding("order", "broken", _failure(replies))
    places = [int(one[1] > one[0]) for one in scores]
    flips = sum(given == turned for given, turned in zip(places[::2], places[1::2], strict=True))
    right = sum(place == at for place, at in zip(places, wanted, strict=True))
    asked = f"{flips} of {len(places) // 2} answers go with the place instead of the picture"
    told = f"{right} of {len(places)} right among two pictures; {asked}"
    return Finding("order", "ok", told) if 4 * flips < len(places) else Finding("order", "weak", told + NO_CHOICE)


def _tokens(model: MLLM, shown: Sequence[Shown]) -> Finding:
    one, two = shown[0].image, shown[1].image
    asks = [ScoreChoices(("yes or no?",), ("yes", "no")), ScoreChoices((one, "yes or no?"), ("yes", "no"))]
    replies = _asked(model, [*asks, ScoreChoices((one, two, "yes or no?"), ("yes", "no"))])
    if why := _failure(replies):
        return Finding("tokens", "broken", why)
    counts = [reply.tokens for reply in replies]
    if not any(counts):
        return Finding("tokens", "ok", "not counted")
    ok = counts[0] < counts[1] < counts[2]
    picture = f"a picture of {one.width} by {one.height} takes {counts[1] - counts[0]} tokens, two take "
    lost = "" if ok else ": pictures may be dropped on the way"
    return Finding("tokens", "ok" if ok else "broken", f"{picture}{counts[2] - counts[0]}{lost}")


def _time(model: MLLM, shown: Sequence[Shown]) -> Iterator[Finding]:
    """New pictures each time, so that nothing kept from an earlier ask is measured."""
    for name, count in (("seconds for one", 1), (f"seconds each of {_BATCH}", _BATCH)):
        images = [shown[0].image.rotate(3 * count + n, fillcolor="white") for n in range(count)]
        start = time.perf_counter()
        replies = _asked(model, [prompts.fits(image, shown[0].words) for image in images])
        took = (time.perf_counter() - start) / count
        why = _failure(replies)
        told = f"{took:.3f} for a question of yes or no about a new picture"
        yield Finding(name, "broken" if why else "ok", why or told)
