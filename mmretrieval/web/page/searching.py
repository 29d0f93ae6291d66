"""What happens on a search: inputs become a form, the desk answers, and its answer or a sentence is shown."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
from pydantic import ValidationError

from mmretrieval.errors import UsageError
from mmretrieval.web.form import FARTHEST, SearchForm
from mmretrieval.web.links import from_link
from mmretrieval.web.page.gallery import more_html
from mmretrieval.web.page.marks import Mark, grades_of
from mmretrieval.web.page.parts import Parts
from mmretrieval.web.page.picture import picture_html
from mmretrieval.web.page.section import formed, inputs_of, written
from mmretrieval.web.refusals import refusal

if TYPE_CHECKING:
    from gradio.components import Component

log = logging.getLogger(__name__)

Marks = tuple[Mark, ...]
Values = tuple[Any, ...]


class Searching:
    """The handlers of the page. Each takes the inputs of `Parts` and gives values for `outputs`."""

    def __init__(self, parts: Parts, picture: Component, examples: Sequence[SearchForm]) -> None:
        self.parts, self._examples = parts, examples
        self._picture = picture
        self._inputs = inputs_of(parts.sections)

    @property
    def outputs(self) -> list[Component]:
        """Results and the picture of the query, then all inputs."""
        return [*self.parts.outputs, self._picture, *self._inputs]

    def search(self, form: SearchForm | None, marks: Marks, *values: Any) -> Values:
        """What the inputs say, with the picture there is."""
        return self._told(lambda: self._shown(self._formed(form, values), marks))

    def send(self, event: gr.EventData, form: SearchForm | None, marks: Marks, *values: Any) -> Values:
        """The picture that was uploaded."""
        picture = {"image": str(event.token), "image_id": None}
        return self._told(lambda: self._shown(self._formed(form, values, picture), marks))

    def use(self, event: gr.EventData, form: SearchForm | None, marks: Marks, *values: Any) -> Values:
        """A picture of the collection; words that were meant for another picture are left out."""
        picture = {"image": None, "image_id": str(event.id), "text": "", "like": (), "unlike": ()}
        return self._told(lambda: self._shown(self._formed(form, values, picture), marks, show=True))

    def clear(self, form: SearchForm | None, marks: Marks, *values: Any) -> Values:
        """Without a picture; where nothing else is left, only the picture goes."""

        def cleared() -> Values:
            left = self._formed(form, values, {"image": None, "image_id": None})
            if not left.is_empty:
                return self._shown(left, marks)
            return (
                left,
                *[gr.skip()] * (len(self.parts.outputs) - 1),
                picture_html(self.parts.desk, left),
                *self._kept(),
            )

        return self._told(cleared)

    def example(self, marks: Marks, event: gr.EventData) -> Values:
        """One of the examples, in place of everything."""
        return self._told(lambda: self._shown(self._examples[int(event.number)], marks, show=True))

    def link(self, marks: Marks, request: gr.Request) -> Values:
        """The search that the address of the page describes, if it does; rerankers wait for a click."""

        def opened() -> Values:
            form, remarks = from_link(dict(request.query_params))
            if form.is_empty:
                return (*[gr.skip()] * len(self.outputs),) if not remarks else self._refused(" ".join(remarks))
            return self._shown(form, marks, show=True, remarks=(*remarks, *_left_out(form)))

        return self._told(opened)

    def more(self, form: SearchForm | None, marks: Marks, event: gr.EventData) -> str:
        """The cards that follow, for scrolling; a sentence where they cannot be had."""
        try:
            if form is None:
                raise UsageError("there is no search to go on with")
            following = form.model_copy(update={"offset": min(FARTHEST, max(0, int(event.next)))})
            ranking = self.parts.desk.search(following)
            with self.parts.desk.reading() as collection:
                return more_html(collection, following, ranking, grades_of(marks, form), float(event.best))
        except Exception as error:  # noqa: BLE001 - whatever it is, a visitor gets a sentence, and the log the rest
            return more_html(sentence=self._sentence(error))

    def _formed(
        self, form: SearchForm | None, values: Sequence[Any], update: dict[str, Any] | None = None
    ) -> SearchForm:
        made = formed(form, self.parts.sections, values)
        return SearchForm(**{**dict(made), **(update or {})})

    def _shown(self, form: SearchForm, marks: Marks, *, show: bool = False, remarks: Sequence[str] = ()) -> Values:
        """Searches; with `show` the inputs show the form, too. Language models are asked by their panel alone."""
        if form.is_empty:
            raise UsageError("type what you look for, or give a picture")
        asked = form.model_copy(update={"rerank": (), "rewrite": ()})
        results = self.parts.shown(asked, self.parts.desk.search(asked), marks, remarks)
        inputs = written(form, self.parts.sections) if show else self._kept()
        return (*results, picture_html(self.parts.desk, form), *inputs)

    def _kept(self) -> list[Any]:
        return [gr.skip()] * len(self._inputs)

    def _refused(self, sentence: str) -> Values:
        return (*self.parts.refused(sentence), gr.skip(), *self._kept())

    def _told(self, act: Callable[[], Values]) -> Values:
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - whatever it is, a visitor gets a sentence, and the log the rest
            return self._refused(self._sentence(error))

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False)[0]
            return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        return refusal(error, self.parts.desk.index)[1]


def _left_out(form: SearchForm) -> list[str]:
    """What a link asks of a language model, which nobody should be made to spend by a click on it."""
    methods = ", ".join((*form.rewrite, *form.rerank))
    return [f"this link also asks a language model, by {methods}: choose that under Rerank"] if methods else []
