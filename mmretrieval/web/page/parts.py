"""What the panels of the page share: the desk, what is shown now, and how to show something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmretrieval.searcher import doubts
from mmretrieval.types import Ranking
from mmretrieval.web.desk import Desk
from mmretrieval.web.form import SearchForm
from mmretrieval.web.page.gallery import gallery_html
from mmretrieval.web.page.marks import Mark, grades_of
from mmretrieval.web.page.section import Section, inputs_of
from mmretrieval.web.page.status import status_html

if TYPE_CHECKING:
    from gradio import HTML, State
    from gradio.components import Component


@dataclass(frozen=True, slots=True)
class Parts:
    """The page as its panels see it; a panel is `panel(parts)`, called where its components are to stand.

    `form` is a state with the SearchForm of what is shown, None before the first search; `ranking` one with its
    Ranking; `marks` one with a tuple of Mark. `found` is the gallery: "mark" is its event when a visitor judges a
    picture (its data are `id` and `grade`, which is 1, 0, or None for a mark that is taken back), "use" when one
    becomes the picture of the query (`id`). `status` is the line above it.
    """

    desk: Desk
    form: State
    ranking: State
    marks: State
    found: HTML
    status: HTML
    sections: tuple[Section, ...]

    @property
    def inputs(self) -> list[Component]:
        """For handlers that search: form, marks, and the values of all inputs."""
        return [self.form, self.marks, *inputs_of(self.sections)]

    @property
    def outputs(self) -> list[Component]:
        """Where `shown` and `refused` belong."""
        return [self.form, self.ranking, self.status, self.found]

    def shown(
        self, form: SearchForm, ranking: Ranking, marks: Sequence[Mark] = (), remarks: Sequence[str] = ()
    ) -> tuple[Any, ...]:
        """The values of `outputs` that show a ranking; `remarks` stand before its warnings."""
        with self.desk.reading() as collection:
            gallery = gallery_html(collection, form, ranking, grades_of(marks, form))
            known = doubts(collection)  # stand at the top of the page
            news = [*remarks, *(warning for warning in ranking.warnings if warning not in known)]
            among = len(collection.matching(form.filter)) if form.filter else collection.count
            return form, ranking, status_html(form, ranking, among, news), gallery

    def refused(self, sentence: str) -> tuple[Any, ...]:
        """The values of `outputs` that tell why there is nothing new; what is shown stays."""
        import gradio as gr

        return gr.skip(), gr.skip(), status_html(sentence=sentence), gr.skip()
