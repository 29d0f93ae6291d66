"""One folder per model family, built once, its back end, and the same model asked in the plainest way."""

import pytest
import torch
from plain_vlm import Plain
from tiny_vlms import FAMILIES, write_vlm

from mmretrieval.mllms.transformers import Transformers

torch.set_num_threads(1)  # models as small as these only wait for each other's threads


@pytest.fixture(scope="session", params=sorted(FAMILIES))
def family(request):
    return request.param


@pytest.fixture(scope="session")
def folder(family, tmp_path_factory):
    return write_vlm(tmp_path_factory.mktemp("vlms") / family, family)


@pytest.fixture(scope="session")
def model(folder):
    return Transformers(str(folder), device="cpu")


@pytest.fixture(scope="session")
def plain(folder):
    return Plain(folder)


@pytest.fixture(scope="session")
def qwen_folder(tmp_path_factory):
    return write_vlm(tmp_path_factory.mktemp("qwen") / "vlm", "qwen3_vl")


@pytest.fixture(scope="session")
def qwen(qwen_folder):
    return Transformers(str(qwen_folder), device="cpu")
