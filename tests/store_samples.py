"""Pictures by seed, their bytes in any format, and a small honest encoder: what the tests of the store stand on."""

import hashlib
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from mmretrieval.protocols import Encoder


def picture(seed, width=48, height=40):
    """A smooth coloured picture; another seed gives a clearly different one."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, kind, **settings):
    """The picture's file content in this format."""
    file = BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def save(path, seed, **settings):
    """Writes the picture of this seed, its format told by the name; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, **settings)
    return path


class SketchEncoder(Encoder):
    """A fixed random projection of a small copy of the picture; texts are sums of one random vector a word.

    With `log`, a line per call says how many pictures it was given; with `seconds`, each picture takes that long.
    """

    def __init__(self, spec="sketch", dim=24, log: Path | None = None, seconds=0.0):
        self.spec, self.dim, self.input_size, self.log, self.seconds = spec, dim, 16, log, seconds
        self.calls = []
        self._projection = np.random.default_rng(12).normal(size=(16 * 16 * 3 + 1, dim))

    def encode_images(self, images):
        self._note(len(images))
        return self._unit([self._sketch(image) @ self._projection for image in images])

    def encode_texts(self, texts):
        return self._unit([sum(map(self._word, text.split()), np.full(self.dim, 1e-3)) for text in texts])

    def too_long(self, texts):
        return [len(text.split()) > 50 for text in texts]

    @property
    def fingerprint(self):
        return {"encoder": self.spec, "weights": "seed 12", "dim": self.dim}

    def _note(self, n):
        self.calls.append(n)
        time.sleep(self.seconds * n)
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{n}\n")

    @staticmethod
    def _sketch(image):
        assert image.mode == "RGB", image.mode
        small = np.asarray(image.resize((16, 16), Image.Resampling.BOX), dtype=np.float64)
        return np.append(small.ravel() - 127.5, 1.0)

    def _word(self, word):
        seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")
        return np.random.default_rng(seed).normal(size=self.dim)

    def _unit(self, rows):
        matrix = np.array(rows, dtype=np.float64).reshape(len(rows), self.dim)
        return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
