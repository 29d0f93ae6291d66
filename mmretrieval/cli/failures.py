"""Any exception as one sentence and an exit status."""

from __future__ import annotations

import errno

import typer

from mmretrieval.errors import MMRetrievalError, NotFound, StorageError, UsageError

INTERRUPTED = 130  # what a shell expects of a program that Ctrl-C ended

# Typer carries its own copy of click, or stands on the installed one; this names the same class in both cases.
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


def explain(error: BaseException) -> tuple[str, int]:
    """The sentence for the user, and the exit status."""
    if isinstance(error, MMRetrievalError):
        return str(error), _exit_code(error)
    if isinstance(error, _USAGE_ERROR):
        return _usage(error), UsageError.exit_code
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return "interrupted", INTERRUPTED
    if isinstance(error, OSError):
        return _system(error)
    if isinstance(error, MemoryError):
        return "there is not enough memory for this: try a smaller --batch-size", MMRetrievalError.exit_code
    cure = "run it again with --debug and report what it prints to the authors of mmretrieval"
    told = f"something unforeseen happened, {type(error).__name__}: {error}; {cure}"
    return told, MMRetrievalError.exit_code


def _exit_code(error: MMRetrievalError) -> int:
    """That of what a stage failed of, where the error only tells which stage and which query it was."""
    cause = error.__cause__
    told = cause if type(error) is MMRetrievalError and isinstance(cause, MMRetrievalError) else error
    return told.exit_code


def _usage(error: Exception) -> str:
    said: str = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "mmretrieval"
    return f"{said.strip().rstrip('.')} (see: {command} --help)"


def _system(error: OSError) -> tuple[str, int]:
    place = f" {error.filename}" if error.filename else ""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return (
                f"the disk is full, at{place or ' writing'}: free some space and run it again",
                StorageError.exit_code,
            )
        case errno.EROFS:
            return f"the file system of{place} is read-only: name a folder that can be written", StorageError.exit_code
        case errno.EACCES | errno.EPERM:
            return f"no permission for{place}: change its rights or name another place", StorageError.exit_code
        case errno.ENOENT:
            return f"there is no file or folder{place}", NotFound.exit_code
        case errno.ENOTDIR | errno.EISDIR | errno.EEXIST:
            return f"{error.strerror}:{place}", UsageError.exit_code
    return f"{error.strerror or type(error).__name__}:{place or f' {error}'}", MMRetrievalError.exit_code
