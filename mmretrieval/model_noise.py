"""Keeps what other libraries say while they load a model away from the user; errors still come through."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("open_clip", "timm", "transformers", "torchvision", "sentence_transformers", "onnxruntime")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the warnings and log lines of model libraries within the block.

    open_clip logs through the root logger's shortcuts. Those install a handler of their own when there is none, and
    the user's handlers would show the lines as ours; so the root logger gets a silent handler and a filter meanwhile.
    """
    root, silent = logging.getLogger(), logging.NullHandler()
    root.addHandler(silent)
    root.addFilter(_is_ours)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with _quiet_transformers():
                yield
    finally:
        root.removeFilter(_is_ours)
        root.removeHandler(silent)


def _is_ours(record: logging.LogRecord) -> bool:
    return not any(f"{library}/" in record.pathname.replace("\\", "/") for library in _LIBRARIES)


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    from transformers.utils import logging as transformers_logging

    before, has_bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(before)
        if has_bars:
            transformers_logging.enable_progress_bar()
