"""What a served state of an index opens once, whatever the settings."""

import pytest
from store_samples import SketchEncoder, save

from mmretrieval.checked_encoder import CheckedEncoder
from mmretrieval.collection import Collection
from mmretrieval.indexing import index
from mmretrieval.web.form import Settings
from mmretrieval.web.snapshot import Snapshot


@pytest.fixture
def snapshot(tmp_path):
    for number in range(5):
        save(tmp_path / "pictures" / f"p{number}.png", number)
    index(tmp_path / "pictures", tmp_path / "idx", encoder=SketchEncoder())
    with Collection.open(tmp_path / "idx") as collection:
        yield Snapshot(collection, CheckedEncoder(collection, SketchEncoder(), None), "auto", None)


def test_searchers_of_all_settings_stand_on_one_index(snapshot):
    plain = snapshot.searcher(Settings()).pipeline.first_stage
    refined = snapshot.searcher(Settings(refine=("superglobal",))).pipeline.first_stage
    by_words = snapshot.searcher(Settings(rerank=("ingredients",))).pipeline.first_stage
    joined = snapshot.searcher(Settings(hybrid="rrf")).pipeline.first_stage
    assert plain.index is refined.index is by_words.index is joined.channels[0].stage.index
