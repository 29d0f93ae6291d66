"""What a command has to say, and how it is printed: lines for people, one JSON object for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA_VERSION = 1
PARTIAL = 7  # the exit status when the work was done in part: files left out, or stopped early

# A name may hold what would break a line of columns; it is shown as in a string of a programming language.
_BREAKS = str.maketrans({"\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a command: `fields` for JSON, `lines` for people, and the exit status."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    lines: Iterable[str] = ()
    status: Literal["ok", "partial", "error"] = "ok"
    warnings: Sequence[str] = ()
    errors: Sequence[str] = ()
    exit_code: int = 0


def row(*cells: object) -> str:
    """One line of tab-separated cells."""
    return "\t".join(str(cell).translate(_BREAKS) for cell in cells)


def show(report: Report, command: str, *, as_json: bool) -> None:
    """Print a report. A reader that has seen enough and closed the pipe is no error; a full disk is an OSError."""
    if not as_json:
        for warning in report.warnings:
            sys.stderr.write(f"warning: {warning}\n")
        for error in report.errors:
            sys.stderr.write(f"error: {error}\n")
    try:
        for line in [_as_json(report, command)] if as_json else report.lines:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
    except OSError:
        _abandon_stdout()
        raise


def _abandon_stdout() -> None:
    """Python flushes stdout once more when it ends, and would complain; give it something that takes all."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _as_json(report: Report, command: str) -> str:
    envelope = {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "status": report.status,
        "warnings": list(report.warnings),
        "errors": list(report.errors),
    }
    return json.dumps({**envelope, **report.fields}, allow_nan=False)
