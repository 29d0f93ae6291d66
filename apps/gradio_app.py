"""The web page: one search box over an index, for words, a picture, or both.

    python apps/gradio_app.py --index photos.index

A thin shell over `Searcher`; it ranks nothing itself. Pictures reach the browser as thumbnails made here, and no path
is ever taken from a request. Without `--index` it shows the demo collection, which `make demo` makes.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from mmretrieval import MMRetrievalError, Searcher
from mmretrieval.images import thumbnail

if TYPE_CHECKING:
    import gradio
    from PIL.Image import Image

log = logging.getLogger("mmretrieval.app")
DEMO_INDEX = Path("demo/index")
HITS = 24
LONGEST_TEXT = 1000
LARGEST_UPLOAD = "20mb"


def build(searcher: Searcher) -> gradio.Blocks:
    """The page over an opened searcher."""
    import gradio as gr

    def search(text: str, picture: Image | None, balance: float) -> tuple[list[tuple[Image, str]], str]:
        """Thumbnails with rank, score and id, and one line about the search."""
        if not text.strip() and picture is None:
            raise gr.Error("Give words, a picture, or both.", print_exception=False)
        try:
            ranking = searcher.search(
                text[:LONGEST_TEXT],
                image=None if picture is None else picture.convert("RGB"),
                weights={"image": 1.0 - balance, "text": balance},
                top_k=HITS,
            )
            shown = [
                (thumbnail(searcher.collection.open_image(hit.id)), f"{rank}. {hit.id}  {hit.score:.3f}")
                for rank, hit in enumerate(ranking.hits, start=1)
            ]
        except MMRetrievalError as error:
            raise gr.Error(str(error), print_exception=False) from error
        seconds = sum(step.seconds for step in ranking.steps)
        about = f"{len(ranking.hits)} of {searcher.collection.count} pictures, ranked in {1000 * seconds:.0f} ms"
        return shown, " · ".join([about, *ranking.warnings])

    with gr.Blocks(title="mmretrieval", analytics_enabled=False) as page:
        model = searcher.collection.encoder_spec
        knows = " (knows drawn pictures only)" if model == "demo" else ""
        gr.Markdown(f"# mmretrieval\n{searcher.collection.count} pictures, searched with **{model}**{knows}.")
        with gr.Row():
            with gr.Column(scale=3):
                text = gr.Textbox(label="Words, or the change that is wanted", max_length=LONGEST_TEXT, autofocus=True)
                balance = gr.Slider(0.0, 1.0, 0.5, step=0.05, label="With a picture: how much the words count")
                button = gr.Button("Search", variant="primary")
            picture: Any = gr.Image(label="A picture", type="pil", sources=["upload", "clipboard"], height=220)
        about = gr.Markdown()
        found = gr.Gallery(label="Found", columns=5, object_fit="cover", height="auto")
        gr.on([button.click, text.submit], search, [text, picture, balance], [found, about], api_name="search")
    return page


def main(arguments: list[str] | None = None) -> int:
    """Serves the page until Ctrl-C; the exit code is that of the command line."""
    parser = argparse.ArgumentParser(description="The web page over an index.")
    parser.add_argument("--index", type=Path, default=DEMO_INDEX, help="the index folder (default: the demo's)")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=7860)
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    try:
        with Searcher.open(chosen.index) as searcher:
            searcher.search("a first search loads the model before anybody waits for it", top_k=1)
            page = build(searcher)
            log.info("http://%s:%d", chosen.host, chosen.port)
            page.launch(
                server_name=chosen.host,
                server_port=chosen.port,
                max_file_size=LARGEST_UPLOAD,
                quiet=True,
                show_error=True,
            )
    except MMRetrievalError as error:
        cure = "; make the demo collection with: make demo" if chosen.index == DEMO_INDEX else ""
        sys.stderr.write(f"{error}{cure}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
