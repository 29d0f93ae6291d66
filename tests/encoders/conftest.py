"""One folder per model family, built once, and its encoder."""

import numpy as np
import pytest
import torch
from example_models import FAMILIES, write_family
from PIL import Image

from mmretrieval.encoders.open_clip import OpenClip

torch.set_num_threads(1)  # models as small as these only wait for each other's threads


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def family(request):
    return request.param


@pytest.fixture(scope="session")
def folder(family, tmp_path_factory):
    return write_family(tmp_path_factory.mktemp("families") / family, family)


@pytest.fixture(scope="session")
def encoder(folder):
    return OpenClip(f"local-dir:{folder}", device="cpu")


@pytest.fixture(scope="session")
def pictures():
    """Sixty-eight small pictures of many shapes: more than one internal batch."""
    rng = np.random.default_rng(11)
    sizes = [(20 + 13 * n % 90, 20 + 29 * n % 90) for n in range(68)]
    small = [Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)) for _ in sizes]
    return [image.resize(size) for image, size in zip(small, sizes, strict=True)]
