"""Describes the pictures of an index with a slow model, until it is killed. Run as a script: index folder, log file."""

import sys
import time
from pathlib import Path

from mmretrieval.asks import MLLM, Generate, Text
from mmretrieval.captioning import describe


def seen(image):
    """What the models of these tests say of a picture: its own mean colour, so that no two pictures share it."""
    red, green, blue = image.resize((1, 1)).getpixel((0, 0))
    return f"seen {red} {green} {blue}"


class Seer(MLLM):
    """Says of a picture what `seen` says, and notes each picture in a log."""

    answers = frozenset({Generate})

    def __init__(self, log=None, seconds=0.0):
        self.spec, self.log, self.seconds = "seer", log, seconds

    def answer(self, asks):
        replies = []
        for ask in asks:
            time.sleep(self.seconds)
            replies.append(Text(seen(ask.parts[0]), tokens=9))
            if self.log:
                with Path(self.log).open("a") as file:
                    file.write(replies[-1].text + "\n")
        return replies


if __name__ == "__main__":
    describe(Path(sys.argv[1]), Seer(sys.argv[2], seconds=0.05), batch_size=4)
