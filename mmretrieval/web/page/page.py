"""The page: one search box over a desk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio

    from mmretrieval.web.desk import Desk


def build(desk: Desk) -> gradio.Blocks:
    """The page over a desk; the server mounts it, and adds the MCP tools."""
    import gradio as gr

    with gr.Blocks(title="mmretrieval", analytics_enabled=False, delete_cache=(600, 600)) as page:
        gr.Markdown(f"# mmretrieval\n{desk.collection.count} pictures.")
    return page


def look() -> dict[str, Any]:
    """What the server hands to `mount_gradio_app` for the page: theme, css, js, head."""
    return {}
