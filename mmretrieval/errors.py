"""The error tree. Every error names the file, query or image it is about, and the cure.

    MMRetrievalError            6   anything that failed at run time
    ├── UsageError              2   an argument that cannot work
    │   └── FilterError         2   a filter that is not understood
    ├── MissingPrerequisite     3   weights, a package or an extra that is not here
    │   └── MissingExtra        3   an optional dependency group that is not installed
    ├── NotFound                4   a file, an index or a record that does not exist
    ├── InvalidData             5   data that contradicts itself or its format
    │   ├── UnreadableImage     5   a picture that cannot be decoded safely
    │   └── FingerprintMismatch 5   vectors made by another encoder than the one at hand
    └── StorageError            6   disk full, read-only folder
        └── IndexLocked         6   another process is writing

The number is the exit status of the command line.
"""

from __future__ import annotations

from typing import ClassVar


class MMRetrievalError(Exception):
    """Base of all errors of this package; its text is one sentence a user can act on."""

    exit_code: ClassVar[int] = 6


class UsageError(MMRetrievalError):
    """An argument that cannot work, whatever the data."""

    exit_code: ClassVar[int] = 2


class FilterError(UsageError):
    """A filter that is not understood; `position` is the character it is about, counted from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.position = position


class MissingPrerequisite(MMRetrievalError):
    """Something that has to be installed or downloaded first."""

    exit_code: ClassVar[int] = 3


class MissingExtra(MissingPrerequisite):
    """A package of an optional dependency group is not installed."""

    def __init__(self, wanted: str, package: str, extra: str | None) -> None:
        cure = f"pip install 'mmretrieval[{extra}]'" if extra else f"pip install {package}"
        super().__init__(f"{wanted} needs the package '{package}', which is not installed: {cure}")
        self.package = package
        self.extra = extra


class NotFound(MMRetrievalError):
    """A file, an index or a record that does not exist."""

    exit_code: ClassVar[int] = 4


class InvalidData(MMRetrievalError):
    """Data that contradicts itself, its format or its limits."""

    exit_code: ClassVar[int] = 5


class UnreadableImage(InvalidData):
    """A picture that cannot be decoded completely and safely."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class FingerprintMismatch(InvalidData):
    """The encoder at hand is not the one that made the vectors."""


class StorageError(MMRetrievalError):
    """The disk is full, or the folder cannot be written."""


class IndexLocked(StorageError):
    """Another process is writing to the same index."""
