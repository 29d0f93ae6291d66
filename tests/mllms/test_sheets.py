"""A convolutional tower reads a marked sheet at its own size; single pictures are scaled as the model's files say."""

import numpy as np
import pytest
from PIL import Image
from tiny_vlms import write_vlm

from mmretrieval.asks import ScoreChoices
from mmretrieval.mllms.transformers import Transformers
from mmretrieval.sheet import sheet

LABELS = ("1", "2", "3", "4")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vlm") / "fast"
    write_vlm(folder, "fast_vlm")
    return Transformers(str(folder), device="cpu")


def noise(seed, size=96):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size, size, 3), dtype=np.uint8))


def scores(model, picture):
    """Log-probabilities and the tokens that picture and words took."""
    reply = model.answer([ScoreChoices((picture, "which picture?"), LABELS)])[0]
    return np.array(reply.log_probs), reply.tokens


def test_every_cell_of_a_sheet_keeps_its_pixels(model):
    made = sheet([noise(n) for n in range(4)], columns=2, cell=96, strip=32, gap=0).image
    plain = Image.fromarray(np.asarray(made))  # the same pixels, and nothing that says it is a sheet
    told, tokens = scores(model, made)
    other, fewer = scores(model, plain)
    assert tokens - fewer == 6 * 8 - 2 * 3, "192 x 256 pixels are 6 x 8 tokens; scaled to a shorter side of 64, 2 x 3"
    assert not np.allclose(told, other)


def test_a_picture_is_scaled_to_the_models_size(model):
    small = noise(5)
    large = small.resize((192, 192), Image.Resampling.NEAREST)
    assert scores(model, large)[1] == scores(model, small)[1]
