"""A look at a language model before it is trusted: can it see, does it tell two pictures apart, what does it cost?

Two drawn pictures and a handful of asks. A model behind a wrong chat template, or a server that drops pictures, still
answers fluently; its scores then lie close together, and that is what this finds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mmretrieval import prompts
from mmretrieval.asks import MLLM, Ask, ChoiceScores, Failed, Generate, Reply, ScoreChoices, Text, fitted

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_NATS = 1.0  # by which "yes" must gain from the wrong picture to the right one
_SIDE = 256
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `ok` is False when rerankers cannot rely on the model."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A drawn picture and words that fit it alone."""

    image: Image
    words: str


def check_up(model: MLLM) -> Iterator[Finding]:
    """Asks the model about 20 times. A model that `knows` only drawn scenes is shown such scenes."""
    shown = drawn_scenes() if getattr(model, "knows", "") else drawn_shapes()
    yield _abilities(model)
    if Generate in model.answers:
        yield _words(model, shown)
    if ScoreChoices in model.answers:
        yield _separation(model, shown)
        yield _order(model, shown)
        yield _tokens(model, shown)
        yield from _time(model, shown)


def drawn_shapes() -> tuple[Shown, Shown]:
    """A red disc and a blue square on white."""
    from PIL import Image, ImageDraw

    disc, square = (Image.new("RGB", (_SIDE, _SIDE), "white") for _ in range(2))
    box = (_SIDE // 5, _SIDE // 5, _SIDE * 4 // 5, _SIDE * 4 // 5)
    ImageDraw.Draw(disc).ellipse(box, fill="red")
    ImageDraw.Draw(square).rectangle(box, fill="blue")
    return Shown(disc, "a red circle"), Shown(square, "a blue square")


def drawn_scenes() -> tuple[Shown, Shown]:
    """A plate and a landscape of the demo world, each with one of the things that it shows alone."""
    from mmretrieval.demo.sample import scene
    from mmretrieval.training.vlm_words import items

    pictures = []
    for domain in ("food", "nature"):
        drawn = scene("checkup", 5, domain)
        pictures.append((drawn, items(drawn)[0]))
    from mmretrieval.demo.render import render

    first, second = (Shown(render(drawn, _SIDE, "checkup"), words) for drawn, words in pictures)
    return first, second


def _asked(model: MLLM, asks: Sequence[Ask]) -> list[Reply]:
    return model.answer([fitted(ask, model) for ask in asks])


def _failure(replies: Sequence[Reply]) -> str:
    """Why the first of the asks that failed did; empty when none did."""
    return next((reply.reason for reply in replies if isinstance(reply, Failed)), "")


def _abilities(model: MLLM) -> Finding:
    kinds = ", ".join(sorted(kind.__name__ for kind in model.answers)) or "nothing"
    form = "short" if model.compact else "full"
    return Finding("answers", bool(model.answers), f"{model.spec} answers {kinds}, and gets the {form} questions")


def _words(model: MLLM, shown: Sequence[Shown]) -> Finding:
    replies = _asked(model, [prompts.caption(one.image) for one in shown])
    texts = [reply.text for reply in replies if isinstance(reply, Text)]
    if len(texts) < len(replies):
        return Finding("text", ok=False, detail=_failure(replies))
    told = "; ".join(f"{one.words}: '{text[:60]}'" for one, text in zip(shown, texts, strict=True))
    if not all(texts):
        return Finding(
            "text", ok=False, detail=f"it says nothing about a picture ({told}): its answer may all be thought"
        )
    if texts[0] == texts[1]:
        return Finding("text", ok=False, detail=f"it says the same about both pictures ({told}): it may not see them")
    return Finding("text", ok=True, detail=told)


def _separation(model: MLLM, shown: Sequence[Shown]) -> Finding:
    asks = [prompts.fits(one.image, other.words) for other in shown for one in shown]
    replies = _asked(model, asks)
    odds = [r.log_probs[0] - r.log_probs[1] for r in replies if isinstance(r, ChoiceScores)]
    if len(odds) < len(replies):
        return Finding("yes and no", ok=False, detail=_failure(replies))
    gains = odds[0] - odds[1], odds[3] - odds[2]
    told = ", ".join(f"{one.words} {gain:+.2f}" for one, gain in zip(shown, gains, strict=True))
    if any(isinstance(reply, ChoiceScores) and reply.in_words for reply in replies):
        return Finding("yes and no", min(gains) > 0, f"named in words, without log-probabilities: {told}")
    detail = f"yes against no gains from the wrong to the right picture, in nats: {told}; {LEAST_NATS:g} is wanted"
    return Finding("yes and no", min(gains) > LEAST_NATS, detail)


def _order(model: MLLM, shown: Sequence[Shown]) -> Finding:
    """Which of two pictures, asked in both orders: a good judge names the picture, not the place."""
    images = [one.image for one in shown]
    asks = [prompts.which_of_list(order, one.words) for one in shown for order in (images, images[::-1])]
    replies = _asked(model, asks)
    scores = [reply.log_probs for reply in replies if isinstance(reply, ChoiceScores)]
    if len(scores) < len(replies):
        return Finding("order", ok=False, detail=_failure(replies))
    places = [int(one[1] > one[0]) for one in scores]
    flips = sum(given == turned for given, turned in zip(places[::2], places[1::2], strict=True))
    right = sum(place == wanted for place, wanted in zip(places, (0, 1, 1, 0), strict=True))
    detail = f"{right} of 4 right among two pictures; {flips} of 2 answers go with the place instead of the picture"
    return Finding("order", flips < len(shown), detail)


def _tokens(model: MLLM, shown: Sequence[Shown]) -> Finding:
    one, two = shown[0].image, shown[1].image
    asks = [ScoreChoices(("yes or no?",), ("yes", "no")), ScoreChoices((one, "yes or no?"), ("yes", "no"))]
    replies = _asked(model, [*asks, ScoreChoices((one, two, "yes or no?"), ("yes", "no"))])
    if why := _failure(replies):
        return Finding("tokens", ok=False, detail=why)
    counts = [reply.tokens for reply in replies]
    if not any(counts):
        return Finding("tokens", ok=True, detail="not counted")
    ok = counts[0] < counts[1] < counts[2]
    picture = f"a picture of {one.width} by {one.height} takes {counts[1] - counts[0]} tokens, two take "
    lost = "" if ok else ": pictures may be dropped on the way"
    return Finding("tokens", ok, f"{picture}{counts[2] - counts[0]}{lost}")


def _time(model: MLLM, shown: Sequence[Shown]) -> Iterator[Finding]:
    """New pictures each time, so that nothing kept from an earlier ask is measured."""
    for name, count in (("seconds for one", 1), (f"seconds each of {_BATCH}", _BATCH)):
        images = [shown[0].image.rotate(3 * count + n, fillcolor="white") for n in range(count)]
        start = time.perf_counter()
        replies = _asked(model, [prompts.fits(image, shown[0].words) for image in images])
        took = (time.perf_counter() - start) / count
        why = _failure(replies)
        yield Finding(name, not why, why or f"{took:.3f} for a question of yes or no about a new picture")
