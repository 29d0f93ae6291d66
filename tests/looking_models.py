"""Models that really look: they find the candidates in what they are shown, on a sheet or one by one, by colour.

A candidate's picture is plain, and its red is the number of the record. So a model can answer by any rule on what it
saw, and whoever labels, marks, lays out or counts wrongly gets a wrong order.
"""

import json
import math
import re

from example_stages import MemoryCollection, Scripted
from PIL import Image

from mmretrieval.asks import ChoiceScores, Generate, Text

CELL, STRIP = 12, 6
SMALL_SHEETS = {"cell": CELL, "strip": STRIP, "gap": 0}


class Coloured(MemoryCollection):
    """Record n shows plain red of brightness n."""

    def open_image(self, record_id):
        return Image.new("RGB", (10, 8), (self.ids.index(self.record(record_id).id), 0, 255))


def seen(ask):
    """The numbers of the records in the ask, in the order of their labels or marks."""
    pictures = [(before, part) for before, part in zip(("", *ask.parts), ask.parts, strict=False) if is_picture(part)]
    sheets = [(before, part) for before, part in pictures if str(before).startswith("Sheet with")]
    if sheets:
        [(told, sheet)] = sheets
        count = int(re.search("[0-9]+", told)[0])
        columns = sheet.width // CELL
        spots = [
            (at % columns * CELL + CELL // 2, at // columns * (CELL + STRIP) + STRIP + CELL // 2) for at in range(count)
        ]
        return [sheet.getpixel(spot)[0] for spot in spots]
    shown = [part for before, part in pictures if before != "reference picture:"]
    return [part.getpixel((part.width // 2, part.height // 2))[0] for part in shown]


def is_picture(part):
    return isinstance(part, Image.Image)


def ordering(worth):
    """A model that orders all it sees by `worth` of the record's number, largest first, and says yes above 0."""

    def reply(ask):
        numbers = seen(ask)
        if isinstance(ask, Generate):
            order = sorted(range(len(numbers)), key=lambda at: -worth(numbers[at]))
            return Text(written(ask, [at + 1 for at in order]), tokens=7)
        if ask.choices == ("yes", "no"):
            odds = worth(numbers[-1])
            return ChoiceScores((-math.log1p(math.exp(-odds)), -math.log1p(math.exp(odds))), tokens=3)
        return ChoiceScores(tuple(float(worth(number)) for number in numbers), tokens=3)

    return Scripted(reply)


def written(ask, marks):
    if ask.schema is None:
        return " > ".join(f"[{mark}]" for mark in marks)
    if ask.schema["properties"]["ranking"]["items"].get("enum"):
        marks = [chr(ord("A") + mark - 1) for mark in marks]
    return json.dumps({"ranking": marks})
