"""Marks that a visitor gives to the results of a search: what was sought, which picture, right or wrong.

A mark belongs to what was sought, whatever the settings that found the picture: so one setting can be measured with
marks that were made under another. Examples and counter-examples are settings here, since they come from marks.
"""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass

from mmretrieval.evaluation.runs import Qrels
from mmretrieval.web.form import SearchForm

_SOUGHT = ("text", "image", "image_id", "minus", "filter")
_MOST_EXAMPLES = 100  # that a form takes


@dataclass(frozen=True, slots=True)
class Mark:
    """One judged picture; `sought` is a form that holds nothing but what was sought. The grade is 1 or 0."""

    sought: SearchForm
    id: str
    grade: int


@dataclass(frozen=True, slots=True)
class Judged:
    """Marks as queries by readable names, in the order in which they were first marked, with their judgements."""

    sought: dict[str, SearchForm]
    qrels: Qrels


def sought_by(form: SearchForm) -> SearchForm:
    """The form reduced to what is sought."""
    return SearchForm(**{name: getattr(form, name) for name in _SOUGHT})


def under(sought: SearchForm, settings: SearchForm, top_k: int) -> SearchForm:
    """The same thing sought with the settings of another form, from the first hit on and without examples."""
    update = {name: getattr(sought, name) for name in _SOUGHT}
    return settings.model_copy(update={**update, "like": (), "unlike": (), "offset": 0, "top_k": top_k})


def marked(marks: Sequence[Mark], form: SearchForm, record_id: str, grade: int | None) -> tuple[Mark, ...]:
    """The marks with this one in place of an older one of the same picture; None takes it away."""
    sought = sought_by(form)
    kept = [mark for mark in marks if (mark.sought, mark.id) != (sought, record_id)]
    return tuple(kept) if grade is None else (*kept, Mark(sought, record_id, grade))


def grades_of(marks: Sequence[Mark], form: SearchForm) -> dict[str, int]:
    """The marks of what this form seeks, by picture."""
    sought = sought_by(form)
    return {mark.id: mark.grade for mark in marks if mark.sought == sought}


def with_feedback(form: SearchForm, marks: Sequence[Mark]) -> SearchForm:
    """The search with its right pictures as examples and its wrong ones as counter-examples, the latest first."""
    grades = list(reversed(grades_of(marks, form).items()))
    like = [record_id for record_id, grade in grades if grade >= 1]
    unlike = [record_id for record_id, grade in grades if grade < 1]
    examples = {"like": tuple(like[:_MOST_EXAMPLES]), "unlike": tuple(unlike[:_MOST_EXAMPLES])}
    return form.model_copy(update={**examples, "offset": 0})


def gathered(marks: Sequence[Mark]) -> Judged:
    """All marks by what was sought."""
    names: dict[str, SearchForm] = {}
    qrels: Qrels = {}
    for mark in marks:
        name = next((name for name, sought in names.items() if sought == mark.sought), None)
        if name is None:
            name = _unlike_others(name_of(mark.sought), names)
            names[name] = mark.sought
        qrels.setdefault(name, {})[mark.id] = mark.grade
    return Judged(names, qrels)


def name_of(sought: SearchForm) -> str:
    """What is sought in words for people."""
    picture = "an uploaded picture" if sought.image else f"the picture {sought.image_id}" if sought.image_id else ""
    words = " ".join(sought.text.split())
    parts = [part for part in (words, picture and (f"and {picture}" if words else picture)) if part]
    parts += [f"without {each}" for each in sought.minus]
    if sought.filter.strip():
        parts.append(f"where {sought.filter.strip()}")
    return ", ".join(parts)


def marks_file(marks: Sequence[Mark]) -> tuple[str, list[str]]:
    """Lines as `mmretrieval marks` reads them, and sentences on what they cannot hold."""
    held = [mark for mark in marks if not (mark.sought.image or mark.sought.minus or mark.sought.filter.strip())]
    lines = []
    for mark in held:
        fields = {"query": mark.sought.text, "reference": mark.sought.image_id, "id": mark.id, "mark": mark.grade}
        lines.append(json.dumps({name: value for name, value in fields.items() if value not in (None, "")}))
    left = len(marks) - len(held)
    told = f"{left} marks are left out: a file of marks holds no uploaded picture, no words to avoid and no filter"
    return "".join(f"{line}\n" for line in lines), [told] if left else []


def _unlike_others(name: str, taken: Container[str]) -> str:
    """The name, with a number where another search has it already."""
    number, free = 2, name
    while free in taken:
        number, free = number + 1, f"{name} ({number})"
    return free
