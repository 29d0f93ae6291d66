"""Any error as an HTTP status and one sentence, without a path of the server or a trace in it."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from mmretrieval.cli.failures import explain
from mmretrieval.errors import MMRetrievalError, StorageError
from mmretrieval.web.limits import Busy
from mmretrieval.web.uploads import TooLarge

log = logging.getLogger(__name__)

UNFORESEEN = "something unforeseen happened in the server, and its log says what: ask the one who runs it"
_STATUS = {2: 422, 3: 422, 4: 404, 5: 422}  # by exit status: what was asked for cannot be done


def refusal(error: BaseException, index: Path) -> tuple[int, str]:
    """The status and the sentence; what is nobody's fault but the server's is logged in full."""
    cause = error.__cause__
    told = cause if type(error) is MMRetrievalError and isinstance(cause, MMRetrievalError) else error
    if isinstance(told, Busy):
        return 429, str(told)
    if isinstance(told, TooLarge):
        return 413, str(told)
    if isinstance(told, MMRetrievalError):
        sentence, exit_code = explain(error)
        status = 503 if isinstance(told, StorageError) else _STATUS.get(exit_code, 500)
        if status >= 500:
            log.error("%s", sentence, exc_info=error)
        return status, without_paths(sentence, index)
    log.error("%s", UNFORESEEN, exc_info=error)
    return 500, UNFORESEEN


def without_paths(sentence: str, index: Path) -> str:
    """The sentence with words, or its bare name, in place of where the index lies."""
    for place in (str(index.resolve()), str(index)):
        whole = rf"(?<![\w./-]){re.escape(place)}"
        sentence = re.sub(rf"{whole}(?=:)", "the index", sentence)
        sentence = re.sub(rf"{whole}(?![\w-])", lambda _: index.name, sentence)
    return sentence
