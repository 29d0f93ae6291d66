"""Sentence-embedding models: what the real small one knows, and what is refused."""

import json
import shutil

import numpy as np
import pytest
from store_samples import SketchEncoder, save

import mmretrieval as mm
from mmretrieval.collection import Collection
from mmretrieval.encoders import open_encoder
from mmretrieval.encoders.sentence import Sentence
from mmretrieval.errors import FingerprintMismatch, InvalidData, MissingPrerequisite, UsageError
from mmretrieval.searcher import Searcher


@pytest.fixture(scope="module")
def encoder(sentence_dir):
    return Sentence(str(sentence_dir))


def test_near_in_meaning_is_near_in_cosine(encoder):
    rows = encoder.encode_texts(["a puppy by the sea", "a dog on the beach", "a plate of soup", "the stock market"])
    cosines = rows @ rows[0]
    assert cosines[1] > 0.5 > 0.3 > max(cosines[2:])


def test_rows_are_those_of_the_library_itself(encoder, sentence_dir):
    from sentence_transformers import SentenceTransformer

    texts = ["a heron in the reeds", "two boats", ""]
    expected = SentenceTransformer(str(sentence_dir)).encode(texts, normalize_embeddings=True, show_progress_bar=False)
    np.testing.assert_allclose(encoder.encode_texts(texts), expected, atol=1e-5)


def test_a_moved_folder_is_the_same_model_and_other_weights_are_another(encoder, sentence_dir, tmp_path):
    from safetensors.numpy import load_file, save_file

    moved = shutil.copytree(sentence_dir, tmp_path / "moved")
    assert Sentence(str(moved)).fingerprint == encoder.fingerprint
    weights = load_file(moved / "model.safetensors")
    name = next(name for name in weights if name.endswith("LayerNorm.weight"))
    save_file({**weights, name: weights[name] * 1.01}, moved / "model.safetensors", metadata={"format": "pt"})
    assert Sentence(str(moved)).fingerprint["weights"] != encoder.fingerprint["weights"]


@pytest.mark.parametrize(
    ("spec", "settings", "error", "said"),
    [
        ("", {}, UsageError, "names no model"),
        ("x", {"precision": "bf16"}, UsageError, "use fp32"),
        ("nobody/nothing", {}, MissingPrerequisite, "is no folder here and cannot be had from the hub"),
    ],
)
def test_what_cannot_be_opened_is_refused_in_a_sentence(sentence_dir, spec, settings, error, said):
    with pytest.raises(error, match=said):
        Sentence(spec, **settings)


def test_a_folder_that_is_no_model_is_refused(sentence_dir, tmp_path):
    with pytest.raises(InvalidData, match="no sentence model that can be loaded"):
        Sentence(str(tmp_path))


def test_it_is_refused_where_pictures_must_be_encoded():
    with pytest.raises(UsageError, match=r"'sentence:x' encodes texts only: use it as in --captions sentence:x"):
        open_encoder("sentence:x")


CAPTIONS = {"a": "a puppy plays by the sea", "b": "quarterly report of a bank", "c": "", "d": "soup with noodles"}


def test_captions_encoded_by_it_are_found_by_their_sense(sentence_dir, tmp_path):
    lines = []
    for number, (name, caption) in enumerate(CAPTIONS.items()):
        save(tmp_path / "pictures" / f"{name}.png", number)
        lines.append(json.dumps({"id": name, "path": f"{name}.png", "caption": caption}))
    (tmp_path / "pictures" / "manifest.jsonl").write_text("\n".join(lines))
    model = shutil.copytree(sentence_dir, tmp_path / "model")
    spec = f"sentence:{model}"
    report = mm.index(tmp_path / "pictures", tmp_path / "index", SketchEncoder(), captions=spec)
    assert report.captions == 3
    with Searcher.open(tmp_path / "index", encoder=SketchEncoder(), hybrid="blend") as searcher:
        ranking = searcher.search("young dog on a beach")  # shares no word but stop words with any caption
        best = max(ranking.hits, key=lambda hit: hit.scores["caption"])
        assert best.id == "a"
    with Collection.open(tmp_path / "index") as collection:
        assert collection.rows("caption").dim == 384
    config = json.loads((model / "sentence_bert_config.json").read_text())
    (model / "sentence_bert_config.json").write_text(json.dumps({**config, "max_seq_length": 99}))
    with (
        Searcher.open(tmp_path / "index", encoder=SketchEncoder(), hybrid="rrf") as searcher,
        pytest.raises(FingerprintMismatch, match=r"differs in: max_tokens\): use it as it was, or encode them again"),
    ):
        searcher.search("dog")
