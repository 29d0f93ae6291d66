"""A search as the parameters of an address, and back: only what differs from an empty form stands in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from pydantic import ValidationError

from mmretrieval.errors import UsageError
from mmretrieval.web.form import SearchForm

LONGEST = 8000  # characters that any browser and server takes
_WORDS = ("text", "image_id", "compose", "filter", "hybrid")  # plain text; all else is JSON
UPLOAD_LEFT_OUT = "the uploaded picture is not in this link: upload it again"
_LEFT_OUT = "upload"


def to_link(form: SearchForm) -> str:
    """The parameters, without the "?"; an uploaded picture is left out, and the link says so.

    Raises UsageError for a search that is too long for an address.
    """
    values = form.model_dump(mode="json", exclude_defaults=True, exclude={"image", "offset"})
    pairs = {name: value if name in _WORDS else json.dumps(value) for name, value in values.items()}
    link = urlencode({**pairs, _LEFT_OUT: "1"} if form.image is not None else pairs)
    if len(link) > LONGEST:
        raise UsageError(f"this search is {len(link)} characters long, too much for a link: keep it as JSON instead")
    return link


def from_link(link: str | Mapping[str, str]) -> tuple[SearchForm, tuple[str, ...]]:
    """The form behind the parameters, and what a visitor should know of it.

    Parameters of other origin, as trackers add, are left aside. Raises UsageError for one that cannot be understood.
    """
    pairs = dict(parse_qsl(link.lstrip("?"), keep_blank_values=True)) if isinstance(link, str) else dict(link)
    known = {name: text for name, text in pairs.items() if name in SearchForm.model_fields and name != "image"}
    try:
        values = {name: text if name in _WORDS else json.loads(text) for name, text in known.items()}
        form = SearchForm.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"the link is not understood at '{place}': {first['msg']}") from None
    except (json.JSONDecodeError, RecursionError):
        raise UsageError("the link is not understood: one of its parameters was cut off or changed") from None
    return form, (UPLOAD_LEFT_OUT,) if pairs.get(_LEFT_OUT) == "1" else ()
