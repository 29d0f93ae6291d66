"""Files of the Hugging Face hub: from the local cache if they are there, else downloaded, else one clear sentence.

What is cached is used as it is and the network is not touched, so a model once fetched works offline and does not
change under an index. HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE, HF_ENDPOINT and HF_TOKEN are honoured by the hub's own
client. That client retries for half a minute per file when there is no network; one question with a short timeout
comes first, so that a machine without network learns it at once.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from mmretrieval.errors import MissingPrerequisite, StorageError, UsageError

T = TypeVar("T")

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Wish:
    """For whom something is fetched, and what helps when it cannot be: both end up in the error's sentence."""

    wanted: str  # as in "the encoder 'ViT-B-32/openai'"
    size: str = ""  # as in "1,501 MB", where known beforehand
    cures: str = "connect to the network once, or set HF_HOME to a cache that has it"


def cached(repo: str, files: Sequence[str]) -> Path | None:
    """The first of these files of a repository that is in the local cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = [try_to_load_from_cache(repo, file) for file in files]
    except HFValidationError as error:
        raise UsageError(f"'{repo}' is no name of a repository: write ORGANISATION/NAME") from error
    return next((Path(path) for path in found if isinstance(path, str)), None)


def fetch(repo: str, files: Sequence[str], wish: Wish) -> Path | None:
    """Path of the first of these files that the repository has, in the local cache; None when it has none of them.

    Raises MissingPrerequisite when it is neither cached nor within reach, or needs permission; UsageError when there
    is no such repository; StorageError when the disk is full.
    """
    from huggingface_hub import hf_hub_download

    here = cached(repo, files)
    if here is not None:
        return here
    for file in files:
        size = _ask(repo, file, wish)
        if size is not None:
            log.info("downloading %s of %s, %s MB, for %s", file, repo, f"{size / 1e6:,.1f}", wish.wanted)
            return Path(_download(partial(hf_hub_download, repo, file), repo, wish))
    return None


def fetch_matching(repo: str, patterns: Sequence[str], probe: str, wish: Wish) -> Path:
    """Folder in the local cache with all files of a repository that match; `probe` is one it should have.

    Asks the network. Raises as `fetch` does.
    """
    from huggingface_hub import snapshot_download

    _ask(repo, probe, wish)
    return Path(_download(partial(snapshot_download, repo, allow_patterns=list(patterns)), repo, wish))


def _ask(repo: str, file: str, wish: Wish) -> int | None:
    """The size of a file on the hub in bytes, 0 if it is not told; None when the repository does not have it."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError

    if constants.HF_HUB_OFFLINE:
        raise _unreachable(repo, file, wish, "HF_HUB_OFFLINE is set")
    try:
        return get_hf_file_metadata(hf_hub_url(repo, file), timeout=TIMEOUT_SECONDS).size or 0
    except GatedRepoError as error:
        raise MissingPrerequisite(
            f"{wish.wanted} needs the permission of the owners of {repo}: ask for it at "
            f"{constants.ENDPOINT}/{repo} and log in with 'hf auth login'"
        ) from error
    except RepositoryNotFoundError as error:
        raise UsageError(
            f"there is no repository '{repo}' on the hub for {wish.wanted}, or it is private: check the name, "
            "or log in with 'hf auth login'"
        ) from error
    except EntryNotFoundError:
        return None
    except Exception as error:
        raise _unreachable(repo, file, wish, f"{constants.ENDPOINT} does not answer: {_first_line(error)}") from error


def _download(download: Callable[[], T], repo: str, wish: Wish) -> T:
    try:
        return download()
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise StorageError(
                f"the disk is full, so {repo} cannot be stored for {wish.wanted}: make room, or set HF_HOME elsewhere"
            ) from error
        raise MissingPrerequisite(
            f"downloading {repo} for {wish.wanted} failed ({_first_line(error)}): run the same command again"
        ) from error


def _unreachable(repo: str, file: str, wish: Wish, reason: str) -> MissingPrerequisite:
    from huggingface_hub import constants

    size = f" ({wish.size})" if wish.size else ""
    return MissingPrerequisite(
        f"{wish.wanted} needs {file} of {repo}{size}, which is not in {constants.HF_HUB_CACHE}, and {reason}: "
        f"{wish.cures}"
    )


def _first_line(error: Any) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
