"""A file that the page hands to its visitor: made in the browser out of text, so that none is left on the server."""

from __future__ import annotations

import itertools
import json
from typing import Any

import gradio as gr

from mmretrieval.web.export import Export

_SCRIPT = """
watch('value', () => {
  if (!props.value) return;
  const file = JSON.parse(props.value);
  const address = URL.createObjectURL(new Blob([file.text], {type: file.type}));
  const link = document.createElement('a');
  link.href = address;
  link.download = file.name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
});
"""
_numbers = itertools.count()  # so that the same file can be had twice


def slot(elem_id: str) -> Any:
    """An unseen component; whatever `handed` makes of a file and a handler puts there is saved by the browser."""
    return gr.HTML("", html_template="", js_on_load=_SCRIPT, elem_id=elem_id, elem_classes="mmb-slot")


def handed(file: Export) -> str:
    """The value of a slot that saves this file."""
    value = {"name": file.name, "type": file.media_type, "text": file.text, "number": next(_numbers)}
    return json.dumps(value).replace("<", "\\u003c")  # so that no tag stands in a component of HTML
