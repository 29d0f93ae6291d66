"""What every kit is run on: all methods the registry knows, and a small example so that no kit ever stands idle."""

import inspect

import pytest
from example_stages import (
    Backwards,
    BringLast,
    Brute,
    HashEncoder,
    Listing,
    MemoryCollection,
    Pointwise,
    Scripted,
    Shout,
    Windows,
    seeded_reply,
)
from pretend_server import PretendServer
from tiny_vlms import write_vlm

from mmretrieval import registry
from mmretrieval.calls import Calls
from mmretrieval.errors import MissingPrerequisite
from mmretrieval.recording import Recording

EXAMPLES = {
    "encoders": [HashEncoder],
    "indexes": [Brute],
    "mllms": [Scripted],
    "rewriters": [Shout],
    "first_stages": [Listing],
    "refiners": [BringLast],
    "rerankers": [Backwards, Pointwise, Windows],
}


# What an encoder of that name is opened with, if not with the tiny CLIP.
SPECS = {"sentence": "{sentence_dir}"}

# Methods that a machine may lack the hardware for; any other that cannot be made has failed.
HARDWARE = {"faiss_gpu"}


class Folders(dict):
    """Fixtures by name, made when they are asked for."""

    def __init__(self, request):
        self.request = request

    def __missing__(self, name):
        return self.request.getfixturevalue(name)


def subjects(kind):
    found = [pytest.param(registry.load(kind, name), id=name) for name in registry.names(kind)]
    return [*found, *(pytest.param(example, id=example.__name__) for example in EXAMPLES[kind])]


def pytest_generate_tests(metafunc):
    """A test of `contracts/test_<kind>.py` that takes `subject` runs once for every class of that kind."""
    if "subject" in metafunc.fixturenames:
        kind = metafunc.module.__name__.rpartition("test_")[2]
        metafunc.parametrize("subject", subjects(kind))


@pytest.fixture
def make(subject, request):
    """An instance of the class under test; what its constructor wants by name is made for it."""
    given = {
        "reply": lambda: seeded_reply,
        "collection": lambda: MemoryCollection(12),
        "encoder": HashEncoder,
        "open_encoder": lambda: lambda spec: HashEncoder(),
        "index": lambda: Brute(MemoryCollection(12).rows()),
        "dense": lambda: Listing(MemoryCollection(12)),
        "bm25": lambda: registry.load("first_stages", "bm25")(MemoryCollection(12)),
        "file": lambda: request.getfixturevalue("recording"),
        "name": lambda: str(write_vlm(request.getfixturevalue("tmp_path") / "vlm", "fast_vlm")),
        "address": lambda: request.getfixturevalue("server").address,
        "spec": lambda: SPECS.get(subject.name, "local-dir:{tiny_clip_dir}").format_map(Folders(request)),
    }

    def made(**arguments):
        wanted = inspect.signature(subject).parameters
        needed = {name: given[name]() for name, spot in wanted.items() if name in given and spot.default is spot.empty}
        try:
            return subject(**{**needed, **arguments})
        except MissingPrerequisite as missing:
            if subject.name in HARDWARE:
                pytest.skip(str(missing))
            raise

    return made


@pytest.fixture
def server():
    """A server that speaks OpenAI's protocol."""
    with PretendServer() as server:
        yield server


@pytest.fixture
def recording(request, tmp_path):
    """A recording of the asks of the kit for models."""
    model, file = Scripted(seeded_reply), tmp_path / "calls.jsonl"
    asks = [request.module.ASKS[kind][0] for kind in model.answers]
    Calls(model, recording=Recording(file, model)).answer(asks)
    return file
