"""A group of inputs on the page, and how their values and the fields of a search form become each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmretrieval.web.form import SearchForm

if TYPE_CHECKING:
    from gradio.components import Component

KEPT = ("image", "image_id", "like", "unlike", "refine", "max_calls", "max_seconds")  # fields that no input holds


@dataclass(frozen=True, slots=True)
class Section:
    """`read` makes fields of a form out of the inputs' values, `write` the values that show a form."""

    inputs: Sequence[Component]
    read: Callable[..., dict[str, Any]]
    write: Callable[[SearchForm], Sequence[Any]]
    acts_at_once: Sequence[Component] = ()  # inputs whose every change searches again


def inputs_of(sections: Sequence[Section]) -> list[Component]:
    """All inputs, in the order in which `formed` takes their values."""
    return [each for section in sections for each in section.inputs]


def formed(before: SearchForm | None, sections: Sequence[Section], values: Sequence[Any]) -> SearchForm:
    """The form that the inputs say, with the picture and the examples of the one before.

    Raises pydantic's ValidationError for what is out of bounds.
    """
    fields = {} if before is None else {name: getattr(before, name) for name in KEPT}
    rest = list(values)
    for section in sections:
        own, rest = rest[: len(section.inputs)], rest[len(section.inputs) :]
        fields |= section.read(*own)
    return SearchForm(**fields)


def written(form: SearchForm, sections: Sequence[Section]) -> list[Any]:
    """The values that show a form, in the order of `inputs_of`."""
    return [value for section in sections for value in section.write(form)]
