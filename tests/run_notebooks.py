"""Runs every notebook in a folder of its own, one after the other, and writes it with its outputs.

As a script: `run_notebooks.py OUT` writes the notebooks into OUT, which may be `notebooks/` itself.
"""

import hashlib
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MODELS = ("demo-clip/open_clip_model.safetensors", "demo-vlm/model.safetensors")
SECONDS = 600  # for one cell; on an idle machine the slowest takes some ten


def made_of(notebook):
    """Digests of the notebook's own cells and of the models that answer in it: when one changes, outputs are old."""
    cells = "\0".join(f"{cell.cell_type}\0{cell.source}" for cell in notebook.cells)
    models = {name.partition("/")[0]: (ROOT / "assets" / name).read_bytes() for name in MODELS}
    return {name: hashlib.sha256(data).hexdigest()[:16] for name, data in {"cells": cells.encode(), **models}.items()}


def run(source, place):
    """The notebook with the outputs of a run in the folder `place`; raises CellExecutionError naming the cell."""
    import nbformat
    from nbclient import NotebookClient
    from traitlets.config import Config

    notebook = nbformat.read(source, as_version=4)
    # the kernel is spoken to over files instead of ports, which others on the machine could listen to
    config = Config({"KernelManager": {"transport": "ipc", "ip": f"{place}/../kernel"}})
    NotebookClient(
        notebook, config=config, timeout=SECONDS, record_timing=False, resources={"metadata": {"path": place}}
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = whole(cell.outputs)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "outputs_made_of": made_of(notebook),
    }
    return notebook


def whole(outputs):
    """The outputs with neighbouring pieces of one stream joined, since where a stream breaks is chance."""
    joined = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def main(out):
    import nbformat

    with tempfile.TemporaryDirectory() as place:
        # nothing of the user's own settings of Jupyter, and no kernel of another Python
        for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            os.environ[name] = str(Path(place, name.lower()))
        os.environ |= {"HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore:IProgress"}  # which only draws progress bars
        work = Path(place, "work")
        work.mkdir()
        for source in NOTEBOOKS:
            nbformat.write(run(source, str(work)), out / source.name)
            sys.stderr.write(f"{source.name} runs\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
