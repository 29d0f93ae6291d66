"""The real photographs, with their formats and names: all are indexed, and each finds itself first."""

import os
from pathlib import Path

import numpy as np
import pytest
from store_samples import SketchEncoder

from mmretrieval.collection import Collection
from mmretrieval.images import open_image
from mmretrieval.indexing import index

DATA = Path(os.environ.get("MMRETRIEVAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
SETS = sorted(folder for folder in DATA.glob("img-*/dev") if folder.is_dir())

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SETS, reason=f"no photographs in {DATA}; name their folder in MMRETRIEVAL_DATA"),
]


def indexed(source, into):
    pytest.importorskip("pi_heif")
    report = index(source, into, encoder=SketchEncoder(dim=256))
    assert report.interrupted is False
    return report


@pytest.mark.parametrize("folder", SETS, ids=lambda folder: folder.parent.name)
def test_every_photograph_is_indexed_and_finds_itself_first(folder, tmp_path):
    report = indexed(folder, tmp_path / "index")
    assert report.skipped == ()
    encoder = SketchEncoder(dim=256)
    with Collection.open(tmp_path / "index") as collection:
        assert collection.count == report.indexed > 0
        rows = collection.vectors("image", collection.ids)
        for position in range(0, rows.shape[0], 1 + rows.shape[0] // 60):  # decoding all again takes its time
            record_id = collection.ids[position]
            picture = open_image(collection.path(record_id), min_side=encoder.input_size)
            scores = rows @ encoder.encode_images([picture])[0]
            best = int(np.argmax(scores))
            # pictures with other bytes and the same pixels share the first place
            assert best == position or np.array_equal(rows[best], rows[position]), record_id


def test_every_format_and_name_of_the_rclip_photographs_is_understood(tmp_path):
    folder = DATA / "img-rclip-e2e" / "dev"
    if not folder.is_dir():
        pytest.skip(f"no img-rclip-e2e in {DATA}")
    report = indexed(folder, tmp_path / "index")
    with Collection.open(tmp_path / "index") as collection:
        files = {file["path"]: file for file in collection.files()}
        ids = collection.ids
    states = {path: file["state"] for path, file in files.items()}
    assert report.skipped == ()
    assert states["images/not-an-image.txt"] == "ignored"
    assert states["empty_directory/.keep"] == "ignored"
    assert files["images/bee_animated.gif"]["reason"] == "animated: the first frame"
    for name in ("duck.jp2", "kookaburras.pnm", "magpie.pbm", "chess-knight.tiff", "chess-pawns.bmp", "tree.webp"):
        assert states[f"images/{name}"] in ("indexed", "duplicate"), name
    assert {"images_unicode/鳥鳥", "images_heic/bee.heic"} <= set(ids)
    assert not any(" " in record_id for record_id in ids)
    # the nested folder repeats pictures of the first one; of the same bytes one is the record
    assert list(states.values()).count("indexed") == report.indexed == len(ids)
    assert list(states.values()).count("duplicate") == report.duplicates > 0
