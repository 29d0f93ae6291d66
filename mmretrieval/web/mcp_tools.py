"""The tools that other programs find here over MCP; their names, words and types are what a language model sees.

They answer with JSON as text, which any client and any model can read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mmretrieval.errors import MMRetrievalError
from mmretrieval.web.form import SearchForm
from mmretrieval.web.refusals import refusal
from mmretrieval.web.results import hit_to_json, to_json

if TYPE_CHECKING:
    import gradio

    from mmretrieval.web.desk import Desk


def add_tools(page: gradio.Blocks, desk: Desk) -> None:
    """Add the four tools to a page."""
    import gradio as gr

    with page:
        for tool in (*_searching(desk), *_looking_again(desk)):
            gr.api(tool, api_name=tool.__name__, queue=False)


def _searching(desk: Desk) -> tuple[Callable[..., str], ...]:
    def search_images(
        query: str,
        filter: str = "",  # noqa: A002
        avoid: str = "",
        image_id: str = "",
        top_k: int = 10,
        offset: int = 0,
    ) -> str:
        """Find pictures of the collection by a description in words; with image_id, by a picture and a wanted change.

        Args:
            query: What the picture should show, in plain words; with image_id, the change that is wanted.
            filter: A condition on the metadata, such as "cuisine = 'thai' AND stars > 3"; empty for none.
            avoid: What the picture should not show; empty for nothing.
            image_id: The id of a picture of the collection to start from; empty for none.
            top_k: How many pictures, 1 to 200.
            offset: How many of the best to leave out, for the next page.
        """
        minus = [avoid] if avoid else []
        return _run(desk, text=query, filter=filter, minus=minus, image_id=image_id, top_k=top_k, offset=offset)

    def similar_images(image_id: str, top_k: int = 10) -> str:
        """Find pictures of the collection that look most like one of it.

        Args:
            image_id: The id of the picture.
            top_k: How many pictures, 1 to 200.
        """
        return _run(desk, image_id=image_id, top_k=top_k)

    return search_images, similar_images


def _looking_again(desk: Desk) -> tuple[Callable[..., str], ...]:
    def explain_hit(query: str, image_id: str) -> str:
        """Tell why a picture is found for a query: its place, its score, and what each part of the query adds.

        Args:
            query: The query in words.
            image_id: The id of the picture.
        """
        try:
            rank, hit = desk.explain(SearchForm(text=query, top_k=100), image_id)
        except (MMRetrievalError, ValidationError) as error:
            raise _told(error, desk) from error
        return json.dumps(hit_to_json(hit, rank), ensure_ascii=False)

    def rerank(query: str, method: str = "pointwise", top_k: int = 10) -> str:
        """Search, and let the language model of the server look at the best pictures again; slower than search_images.

        Args:
            query: What the picture should show, in plain words.
            method: The reranker, such as pointwise, cotrr or grid.
            top_k: How many pictures, 1 to 200.
        """
        return _run(desk, text=query, rerank=[method], top_k=top_k)

    return explain_hit, rerank


def _run(desk: Desk, **values: Any) -> str:
    try:
        form = SearchForm.model_validate({name: value for name, value in values.items() if value not in ("", [], None)})
        return json.dumps(_short(form, desk), ensure_ascii=False)
    except (MMRetrievalError, ValidationError) as error:
        raise _told(error, desk) from error


def _short(form: SearchForm, desk: Desk) -> dict[str, Any]:
    """Without what a language model would only read past."""
    found = to_json(form, desk.search(form))
    kept = ("rank", "id", "path", "score", "by", "why", "thumbnail")
    hits = [{name: hit[name] for name in kept} for hit in found["hits"]]
    return {"status": found["status"], "warnings": found["warnings"], "hits": hits, "next_offset": found["next_offset"]}


def _told(error: MMRetrievalError | ValidationError, desk: Desk) -> Exception:
    """What the other side is told: a sentence."""
    import gradio as gr

    sentence = _sentence(error) if isinstance(error, ValidationError) else refusal(error, desk.index)[1]
    told: Exception = gr.Error(sentence, print_exception=False)
    return told


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
