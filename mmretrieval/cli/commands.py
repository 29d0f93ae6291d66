"""The commands under one roof, and how their work is put off until all words are understood."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial, wraps
from typing import Annotated, Any, ParamSpec

import typer

import mmretrieval
from mmretrieval.cli.report import Report

P = ParamSpec("P")

# The command as typed, and the function of the same name in the module of the same name; this is the order of --help.
COMMANDS = {
    "index": "index",
    "search": "search",
    "caption": "caption",
    "serve": "serve",
    "app": "app",
    "info": "info",
    "world": "world",
    "eval": "evaluate",
    "rerank": "rerank",
    "submit": "submit",
    "bench": "bench",
    "compare": "compare",
    "marks": "marks",
    "list": "listing",
    "doctor": "doctor",
    "demo": "demo",
    "train clip": "train_clip",
    "train vlm": "train_vlm",
}


def build() -> Any:
    """All commands as one; called with words, it returns the work to do, or a number when it only showed help."""
    app = _group("Find pictures with words, with a picture, or with a picture plus a change.")
    app.callback()(_common)
    train = _group("Train the models that ship.")
    app.add_typer(train, name="train")
    for name, module in COMMANDS.items():
        function = getattr(importlib.import_module(f"mmretrieval.cli.{module}"), module)
        group, _, word = name.rpartition(" ")
        (train if group else app).command(word)(_put_off(function))
    return typer.main.get_command(app)


def _group(text: str) -> typer.Typer:
    return typer.Typer(
        help=text,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _put_off(function: Callable[P, Report]) -> Callable[P, Callable[[], Report]]:
    """Typer calls a command as soon as its words are parsed; the work itself should start outside of Typer."""

    @wraps(function)
    def parsed(*args: P.args, **kwargs: P.kwargs) -> Callable[[], Report]:
        return partial(function, *args, **kwargs)

    return parsed


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mmretrieval {mmretrieval.__version__}")
        raise typer.Exit


def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show full tracebacks and all log lines.")] = False,
) -> None:
    """Find pictures with words, with a picture, or with a picture plus a change."""
