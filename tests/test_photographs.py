"""Real photographs, where there are some: all are indexed, and each of them finds itself first."""

import os
from pathlib import Path

import pytest

import mmretrieval as mm
from mmretrieval.types import Query

DATA = Path(os.environ.get("MMRETRIEVAL_DATA", Path(__file__).parents[2] / "shared" / "data"))
FOLDERS = sorted(DATA.glob("img-*"))


@pytest.mark.slow
@pytest.mark.skipif(not FOLDERS, reason=f"no photographs in {DATA}; name their folder in MMRETRIEVAL_DATA")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_photograph_is_indexed_and_finds_itself_first(folder, tmp_path, tiny_clip_dir):
    source = folder / "dev" if (folder / "dev" / "manifest.jsonl").exists() else folder
    report = mm.index(source, tmp_path / "idx", f"local-dir:{tiny_clip_dir}")
    assert report.skipped == ()
    with mm.Searcher.open(tmp_path / "idx") as searcher:
        assert len(searcher.ids) == report.indexed > 0
        for way in ("image", "image_id"):
            wanted = [
                Query(each, **{way: searcher.collection.path(each) if way == "image" else each})
                for each in searcher.ids
            ]
            found = {ranking.query.id: ranking.ids[0] for ranking in searcher.search_all(wanted, 1)}
            assert found == {each: each for each in searcher.ids}
