"""From the words on the command line to the exit status."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout
from io import TextIOWrapper

from mmretrieval.cli.commands import COMMANDS, build
from mmretrieval.cli.failures import explain
from mmretrieval.cli.report import Report, show


def main(arguments: Sequence[str] | None = None) -> None:
    """The command `mmretrieval`; it ends the process with the exit status."""
    sys.exit(run(list(sys.argv[1:] if arguments is None else arguments)))


def run(arguments: list[str]) -> int:
    """Carry out one command line and print what there is to say; returns the exit status."""
    arguments, debug = _without_debug(arguments)
    _prepare(debug=debug)
    try:
        report = _carry_out(arguments)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where everything becomes a sentence
        if debug:
            traceback.print_exc(file=sys.stderr)
        message, exit_code = explain(error)
        report = Report(status="error", errors=[message], exit_code=exit_code)
    return 0 if report is None else _tell(report, arguments)


def _tell(report: Report, arguments: list[str]) -> int:
    try:
        show(report, _command(arguments), as_json="--json" in _options(arguments))
    except OSError as error:  # the result could not be handed over, as when stdout goes to a full disk
        message, exit_code = explain(error)
        sys.stderr.write(f"error: the result could not be written: {message}\n")
        return exit_code
    return report.exit_code


def _carry_out(arguments: list[str]) -> Report | None:
    """None when there was only help to show."""
    work = build().main(arguments, prog_name="mmretrieval", standalone_mode=False)
    if not callable(work):
        return None
    with redirect_stdout(sys.stderr):  # whatever a library prints, stdout holds the result alone
        report: Report = work()
    return report


def _prepare(*, debug: bool) -> None:
    if isinstance(sys.stdout, TextIOWrapper):  # a name that the terminal cannot show must not stop the program
        sys.stdout.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
    # Tokenizers warn about forks that happen after their threads have started; there is nothing a user could do.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _options(arguments: Sequence[str]) -> list[str]:
    """The words before `--`, behind which everything is text."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    return list(arguments[:end])


def _without_debug(arguments: list[str]) -> tuple[list[str], bool]:
    """--debug may stand anywhere, so it is taken out before the commands are asked."""
    options = _options(arguments)
    kept = [word for word in options if word != "--debug"]
    return kept + arguments[len(options) :], len(kept) < len(options)


def _command(arguments: Sequence[str]) -> str:
    words = [word for word in _options(arguments) if not word.startswith("-")]
    return next((name for name in COMMANDS if words[: len(name.split())] == name.split()), "")
