"""Language models without weights, which really look at what they are shown: honest back ends of the protocol.

`Plain` is a collection whose pictures are of one colour that holds the number of the record. A model finds these
colours in the pictures of an ask, also on a sheet of any layout, and answers in the form that it is asked for. What it
thinks of a record is a number from 0 to 1; how well it sees, and what goes wrong, makes the different models.
"""

import json
import math
import random
import time
from threading import Lock

import numpy as np
from example_stages import MemoryCollection
from PIL import Image

from mmretrieval.asks import MLLM, ChoiceScores, Failed, Generate, ScoreChoices, Text
from mmretrieval.prompts import NOTHING_SAID

GREEN, BLUE = 200, 90  # of every candidate's picture; red is twice the record's number
THINGS = ("rice", "salmon", "egg")


class Plain(MemoryCollection):
    """Records img0, img1, …, at most 126 of them, each a picture of one colour."""

    def open_image(self, record_id):
        return Image.new("RGB", (12, 12), (2 * self.ids.index(self.record(record_id).id), GREEN, BLUE))

    def features(self, record_id):
        """Nothing is stored of them, so that a model must be asked."""
        return {}


def seen(picture):
    """The numbers of the records in a picture, row by row: one in a plain picture, many on a sheet."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    mine = (abs(pixels[..., 1] - GREEN) < 3) & (abs(pixels[..., 2] - BLUE) < 3)
    numbers = []
    for top, bottom in _spans(mine.any(axis=1)):
        middle = (top + bottom) // 2
        for left, right in _spans(mine[middle]):
            reds = pixels[middle, left:right, 0]
            edges = [0, *(np.flatnonzero(np.diff(reds)) + 1).tolist(), len(reds)]
            numbers += [int(reds[start]) // 2 for start in edges[:-1]]
    return numbers


def _spans(flags):
    """From where to where the flags are set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _words(ask):
    return [part for part in ask.parts if isinstance(part, str)]


class Oracle(MLLM):
    """Knows the relevance of every record, a number from 0 to 1, and says it in whatever form it is asked.

    Log-odds go from -4 to 4. A list of what a picture shows holds all of `THINGS` for a relevance of 1, else the first.
    """

    def __init__(self, relevance, *, compact=False, answers=(Generate, ScoreChoices)):
        self.spec = "fake"
        self.answers = frozenset(answers)
        self.compact = compact
        self.relevance = relevance
        self.asked = []  # how many asks came at once, call by call
        self._lock = Lock()

    def answer(self, asks):
        with self._lock:
            self.asked.append(len(asks))
        return [self.reply(ask) for ask in asks]

    def reply(self, ask):
        values = self.opinions(ask)
        if isinstance(ask, ScoreChoices):
            return ChoiceScores(tuple(self.scores(ask, values)), tokens=3)
        return Text(self.text(ask, values), tokens=5)

    def opinions(self, ask):
        """What it thinks of the records it is shown, in the order of showing; nothing without a question."""
        pictures = [part for part in ask.parts if not isinstance(part, str)]
        is_asked = not any(f'"{NOTHING_SAID}"' in part or f" {NOTHING_SAID}?" in part for part in _words(ask))
        return [self.relevance[number] if is_asked else 0.5 for picture in pictures for number in seen(picture)]

    def scores(self, ask, values):
        if len(values) == 1 and len(ask.choices) == 2:
            odds = 8 * values[0] - 4
            return [-math.log1p(math.exp(-odds)), -math.log1p(math.exp(odds))]
        if len(values) == len(ask.choices):
            return _log_softmax([6 * value for value in values])
        return _log_softmax(
            [-4 * abs(values[-1] * (len(ask.choices) - 1) - grade) for grade in range(len(ask.choices))]
        )

    def text(self, ask, values):
        order = sorted(range(len(values)), key=lambda place: (-values[place], place))
        if ask.schema is not None:
            return json.dumps(_filled(ask.schema, order, values))
        if len(values) == 1:
            return ", ".join(THINGS if values[0] == 1 else THINGS[:1])
        return " > ".join(f"[{place + 1}]" for place in order)


def _filled(schema, order, values):
    """An object of that shape: grades, an order, and an account of each picture that says nothing."""
    filled = {}
    for name, shape in schema["properties"].items():
        if name == "grades":
            marks = list(shape["properties"])
            filled[name] = {mark: math.floor(10 * value) for mark, value in zip(marks, values, strict=True)}
        elif shape.get("type") == "array" and shape["items"].get("type") == "integer":
            filled[name] = [place + 1 for place in order]
        elif shape.get("type") == "array" and "enum" in shape["items"]:
            filled[name] = [shape["items"]["enum"][place] for place in order]
        else:
            filled[name] = [] if shape.get("type") == "array" else ""
    return filled


def _log_softmax(values):
    top = max(values)
    total = math.log(math.fsum(math.exp(value - top) for value in values)) + top
    return [value - total for value in values]


class NoisyOracle(Oracle):
    """Sees with normal noise of `sigma`, other for every ask, and prefers what is shown first by up to `primacy`."""

    def __init__(self, relevance, *, sigma=0.2, primacy=0.0, seed=0, **more):
        super().__init__(relevance, **more)
        self.sigma, self.primacy, self.seed = sigma, primacy, seed

    def opinions(self, ask):
        values = super().opinions(ask)
        numbers = [number for part in ask.parts if not isinstance(part, str) for number in seen(part)]
        noise = random.Random(f"{self.seed}:{numbers}:{_words(ask)}")
        last = max(len(values) - 1, 1)
        return [
            value + noise.gauss(0, self.sigma) + self.primacy * (1 - place / last) for place, value in enumerate(values)
        ]


class Constant(Oracle):
    """Thinks the same of everything."""

    def __init__(self, **more):
        super().__init__(dict.fromkeys(range(200), 0.5), **more)


class Slow(Oracle):
    """An oracle that takes its time for every call, however much is asked in it."""

    def __init__(self, relevance, *, seconds=0.002, **more):
        super().__init__(relevance, **more)
        self.seconds = seconds

    def answer(self, asks):
        time.sleep(self.seconds)
        return super().answer(asks)


class Flaky(Oracle):
    """Answers only some of the asks; which of them depends on what is asked, not on when."""

    def __init__(self, relevance, *, share=0.3, **more):
        super().__init__(relevance, **more)
        self.share = share

    def reply(self, ask):
        told = f"{[part if isinstance(part, str) else seen(part) for part in ask.parts]}"
        return Failed("no answer today", tokens=1) if random.Random(told).random() < self.share else super().reply(ask)


def _listed(places):
    return " > ".join(f"[{place}]" for place in places)


# What a model may write instead of an answer about n pictures, and how it should be taken: the worst status allowed.
GARBAGE = {
    "error": (lambda n: "Error code: 429 - {'error': {'message': 'Limit 3, used 2, asked 1', 'code': 429}}", "failed"),
    "prose": (lambda n: f"There are {n} pictures. 2 of them show dogs, and [1] is blurred.", "failed"),
    "refusal": (lambda n: "I'm sorry, but I can't assist with that request.", "failed"),
    "empty": (lambda n: "", "failed"),
    "thoughts": (lambda n: f"<think>{_listed(range(n, 0, -1))}", "failed"),
    "wrong json": (lambda n: '{"error": {"code": 3}, "tips": [true, null]}', "failed"),
    "strangers": (lambda n: _listed(range(n + 1, 2 * n + 3)), "failed"),
    "repeated": (lambda n: _listed([1, *range(1, n + 1), 1]), "repaired"),
    "lacking": (lambda n: json.dumps({"ranking": [*range(2, n + 1)]}), "repaired"),
    "cut": (lambda n: '{"ranking": [' + "".join(f"{place}, " for place in range(1, n)), "partial"),
}


class Garbage(Oracle):
    """Writes the same kind of garbage whatever it is asked; its scores are no numbers."""

    def __init__(self, kind, **more):
        super().__init__({}, **more)
        self.kind = kind

    def reply(self, ask):
        if isinstance(ask, ScoreChoices):
            return ChoiceScores((math.nan,) * len(ask.choices), tokens=3)
        count = sum(len(seen(part)) for part in ask.parts if not isinstance(part, str))
        return Text(GARBAGE[self.kind][0](count), tokens=5)
