"""The weights that real servers serve, the same in this process, and vLLM, started once for all tests."""

import pytest
import real_servers

from mmretrieval.errors import MissingPrerequisite
from mmretrieval.mllm_names import demo_folder, open_mllm


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The model that ships; where it is not there yet, one of its class with random weights."""
    try:
        return demo_folder()
    except MissingPrerequisite:
        from tiny_vlms import write_vlm

        return write_vlm(tmp_path_factory.mktemp("served") / "vlm", "fast_vlm")


@pytest.fixture(scope="session")
def here(folder):
    model = open_mllm(f"{folder}?compact=yes", device="cpu")
    yield model
    model.close()


@pytest.fixture(scope="session")
def vllm_address(folder, tmp_path_factory):
    with real_servers.vllm(folder, tmp_path_factory.mktemp("vllm") / "log") as (_, address):
        yield address


@pytest.fixture(scope="session")
def vllm(vllm_address):
    model = open_mllm(f"openai:{vllm_address}?compact=yes")
    yield model
    model.close()
