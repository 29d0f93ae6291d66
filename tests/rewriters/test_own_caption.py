"""A stored caption joins a query that is a picture; without a model nothing else is needed, nor asked."""

import pytest

from mmretrieval.specs import make
from mmretrieval.types import Query


class Captioned:
    def features(self, record_id):
        return {"caption": "a green square"} if record_id == "p3" else {}


@pytest.mark.parametrize(
    ("record", "note"),
    [("p3", "caption: a green square"), ("p4", "the picture has no caption: none stored, and no model to ask")],
)
def test_without_a_model_stored_captions_are_used(record, note):
    rewriter = make("rewriters", "own-caption", collection=Captioned(), ask=False)
    assert not rewriter.needs
    with pytest.raises(StopIteration) as end:
        next(rewriter.rewrite(Query(image_id=record)))
    assert end.value.value.note == note
