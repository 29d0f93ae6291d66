"""Exported models: the vectors of the original, its pictures and tokens, files one can trust, and no torch."""

import json
import os
import shutil
import subprocess
import sys

import ftfy  # noqa: F401 - its first import is slow, and hypothesis would take that for a slow example
import numpy as np
import pytest
from example_models import change_weight, write_family
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import mmretrieval as mm
from mmretrieval.encoders import _onnx_models, _onnx_store, is_demo, open_encoder
from mmretrieval.encoders._clip_source import resolve
from mmretrieval.encoders._clip_words import Words
from mmretrieval.encoders._onnx_pixels import Preparation
from mmretrieval.encoders._onnx_tokenizer import write_tokenizer
from mmretrieval.encoders._onnx_words import ExportedWords
from mmretrieval.errors import FingerprintMismatch, InvalidData, MMRetrievalError, StorageError, UsageError

pytest.importorskip("onnxruntime")

TEXTS = ["a dog", "", "two bowls of soup and <end_of_text> rice; ÄPFEL 汤!", "three white herons in the rain " * 9]


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    return write_family(tmp_path_factory.mktemp("onnx") / "model", "custom-causal")


@pytest.fixture(scope="module")
def exported(causal):
    return open_encoder(f"onnx:local-dir:{causal}")


@pytest.fixture(scope="module")
def original(causal):
    return open_encoder(f"local-dir:{causal}", device="cpu")


def photographs(count=9):
    rng = np.random.default_rng(4)
    small = [rng.integers(0, 256, (5, 7, 3), dtype=np.uint8) for _ in range(count)]
    return [Image.fromarray(each).resize((30 + 17 * n, 90 - 5 * n)) for n, each in enumerate(small)]


# Transformers and convolutions, open_clip's own tokenizer and one of a file, with and without trimming.
@pytest.mark.slow
@pytest.mark.parametrize("family", ["vit", "custom", "siglip"])
def test_the_vectors_are_those_of_the_original(family, tmp_path):
    folder = write_family(tmp_path / family, family)
    ours, theirs = open_encoder(f"onnx:local-dir:{folder}"), open_encoder(f"local-dir:{folder}", device="cpu")
    np.testing.assert_allclose(ours.encode_images(photographs()), theirs.encode_images(photographs()), atol=3e-6)
    np.testing.assert_allclose(ours.encode_texts(TEXTS), theirs.encode_texts(TEXTS), atol=3e-6)
    assert ours.too_long(TEXTS) == theirs.too_long(TEXTS)
    assert (ours.dim, ours.input_size) == (theirs.dim, theirs.input_size)
    assert ours.fingerprint == theirs.fingerprint
    assert min(ours.agreement[kind]["min"] for kind in ("images", "texts")) > 0.99999


@pytest.mark.parametrize("size", [32, (24, 40), (40, 24)], ids=str)
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(1, 150), height=st.integers(1, 150), fill=st.sampled_from([0, 7]))
def test_pictures_are_prepared_byte_for_byte_as_open_clip_does(mode, interpolation, size, width, height, fill):
    from open_clip.transform import image_transform

    rng = np.random.default_rng(width * 151 + height)
    image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    if max(width, height) > 40 * min(width, height):
        return  # such are refused when files are read
    transform = image_transform(
        size, False, (0, 0, 0), (1, 1, 1), resize_mode=mode, interpolation=interpolation, fill_color=fill
    )
    expected = np.rint(transform(image).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    told = {"size": size, "resize_mode": mode, "interpolation": interpolation, "fill_color": fill}
    np.testing.assert_array_equal(Preparation.of(told).pixels(image), expected)


@pytest.fixture(scope="module", params=["vit", "siglip", "custom"])
def both_words(request, tmp_path_factory):
    folder = write_family(tmp_path_factory.mktemp("words") / request.param, request.param)
    theirs = Words(resolve(f"local-dir:{folder}"))
    rules = json.loads(json.dumps(write_tokenizer(theirs, folder / "exported.json")))
    return ExportedWords(folder / "exported.json", rules), theirs


@settings(max_examples=150)
@given(text=st.one_of(st.text(), st.text(alphabet="aeor 's1é<_>.&;lt", max_size=200), st.sampled_from(TEXTS)))
def test_texts_get_the_tokens_of_open_clip(both_words, text):
    ours, theirs = both_words
    try:
        expected = theirs.tokens([text, "soup"]).numpy()
    except InvalidData:
        with pytest.raises(InvalidData, match="half a character"):
            ours.tokens([text, "soup"])
        return
    np.testing.assert_array_equal(ours.tokens([text, "soup"]), expected)
    assert ours.fits(text) == theirs.fits(text)


def test_marks_within_a_text_are_taken_as_open_clip_takes_them(both_words):
    ours, theirs = both_words
    texts = ["<start_of_text> a", "!<end_of_text>!", "<END_OF_TEXT>", "<end>", "a<start>b", "don'ſ DON'T &lt;b&gt;"]
    np.testing.assert_array_equal(ours.tokens(texts), theirs.tokens(texts).numpy())


def test_a_row_does_not_depend_on_its_batch_with_eight_bits(causal):
    encoder = open_encoder(f"onnx:local-dir:{causal}:int8")
    alone = np.concatenate([encoder.encode_images([each]) for each in photographs()])
    np.testing.assert_allclose(encoder.encode_images(photographs()), alone, atol=1e-6)
    alone = np.concatenate([encoder.encode_texts([each]) for each in TEXTS])
    np.testing.assert_allclose(encoder.encode_texts(TEXTS), alone, atol=1e-6)
    assert encoder.fingerprint != open_encoder(f"onnx:local-dir:{causal}").fingerprint


def test_either_searches_what_the_other_has_indexed_and_eight_bits_do_not(causal, tmp_path):
    (tmp_path / "photos").mkdir()
    for number, image in enumerate(photographs()):
        image.save(tmp_path / "photos" / f"p{number}.png")
    specs = (f"local-dir:{causal}", f"onnx:local-dir:{causal}")
    found = []
    for made, searched in (specs, specs[::-1]):
        index = tmp_path / f"index{len(found)}"
        mm.index(tmp_path / "photos", index, made)
        with mm.Searcher.open(index, encoder=searched) as searcher:
            hits = [searcher.search("a dog").hits, searcher.search(image=tmp_path / "photos" / "p2.png").hits]
            found.append([(hit.id, pytest.approx(hit.score, abs=1e-3)) for each in hits for hit in each])
    assert found[0] == [(name, score.expected) for name, score in found[1]]
    eight = f"onnx:local-dir:{causal}:int8"
    with (
        mm.Searcher.open(index, encoder=eight) as searcher,
        pytest.raises(FingerprintMismatch, match="eight_bits 2 instead of None"),
    ):
        searcher.search("a dog")


def test_nothing_of_torch_is_loaded_once_the_model_is_exported(causal, exported):
    code = (
        "import sys; from mmretrieval.encoders import open_encoder;"
        f"e = open_encoder('onnx:local-dir:{causal}'); e.encode_texts(['a dog']); e.too_long(['a dog']);"
        "from PIL import Image; e.encode_images([Image.new('RGB', (9, 9))]);"
        "print({'torch', 'torchvision', 'open_clip', 'transformers', 'timm', 'onnx'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_changed_weights_are_exported_anew(tmp_path):
    folder = write_family(tmp_path / "model", "custom-causal")
    before = open_encoder(f"onnx:local-dir:{folder}")
    change_weight(folder)
    after = open_encoder(f"onnx:local-dir:{folder}")
    assert before.fingerprint["weights"] != after.fingerprint["weights"]
    assert after.fingerprint == open_encoder(f"local-dir:{folder}", device="cpu").fingerprint


def test_a_moved_model_is_not_exported_twice(causal, exported, tmp_path):
    moved = open_encoder(f"onnx:local-dir:{shutil.copytree(causal, tmp_path / 'moved')}")
    assert moved.folder == exported.folder


@pytest.fixture
def copied(exported, tmp_path, monkeypatch):
    """A cache of its own with the export in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    shutil.copytree(exported.folder.parent, _onnx_store.home())
    return _onnx_store.home() / exported.folder.name


@pytest.mark.parametrize("name", ["image.onnx", "text.onnx", "tokenizer.json"])
@pytest.mark.parametrize("harm", ["change", "remove", "forget"])
def test_only_files_whose_hash_is_recorded_are_opened(copied, causal, name, harm):
    if harm == "change":
        data = bytearray((copied / name).read_bytes())
        data[len(data) // 2] ^= 1
        (copied / name).write_bytes(data)
    elif harm == "remove":
        (copied / name).unlink()
    else:
        facts = json.loads((copied / "manifest.json").read_text("utf-8"))
        del facts["files"][name]
        (copied / "manifest.json").write_text(json.dumps(facts), "utf-8")
    with pytest.raises(InvalidData, match=r"delete the folder .* and run the same command again"):
        use(open_encoder(f"onnx:local-dir:{causal}"))


def use(encoder):
    encoder.encode_texts(["a dog"])
    encoder.encode_images(photographs(1))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 99, "files": {}}', '{"format": 1}'])
def test_a_damaged_manifest_is_said_with_the_cure(copied, causal, text):
    (copied / "manifest.json").write_text(text, "utf-8")
    with pytest.raises(InvalidData, match="delete the folder"):
        open_encoder(f"onnx:local-dir:{causal}")


def stop_while_exporting():
    with _onnx_store.making() as folder:
        (folder / "image.onnx").write_bytes(b"half")
        raise KeyboardInterrupt


def test_an_export_that_is_stopped_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        stop_while_exporting()
    assert list(_onnx_store.home().iterdir()) == []


def test_what_a_killed_export_left_is_no_export_and_goes_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, age in (("old", 2 * 86_400), ("new", 60)):
        folder = _onnx_store.home() / f".partial-{name}"
        folder.mkdir(parents=True)
        os.utime(folder, (folder.stat().st_mtime - age,) * 2)
    with _onnx_store.making() as folder:
        (folder / "text.onnx").write_bytes(b"whole")
        kept = _onnx_store.keep(folder, {"fingerprint": {"a": 1}})
    assert sorted(each.name for each in _onnx_store.home().iterdir()) == sorted([".partial-new", kept.folder.name])
    assert kept.file("text.onnx").read_bytes() == b"whole"


def test_of_two_exports_at_once_the_first_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = []
    with _onnx_store.making() as first, _onnx_store.making() as second:
        for folder in (first, second):
            (folder / "text.onnx").write_bytes(folder.name.encode())
            kept.append(_onnx_store.keep(folder, {"fingerprint": {"a": 1}}))
    assert kept[0].folder == kept[1].folder
    assert kept[1].file("text.onnx").read_bytes() == first.name.encode()


def test_a_cache_that_cannot_be_written_is_said_with_the_cure(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="XDG_CACHE_HOME"), _onnx_store.making():
        pass


@pytest.mark.parametrize(
    ("found", "eight_bits"),
    [({"min": 0.99, "mean": 1.0}, False), ({"min": 0.9, "mean": 0.999}, True), ({"min": 0.98, "mean": 0.98}, True)],
)
def test_an_export_that_does_not_agree_is_refused(found, eight_bits):
    good = {"min": 1.0, "mean": 1.0}
    with pytest.raises(FingerprintMismatch, match=r"does not agree .* its texts have cosines"):
        _onnx_models.check_agreement({"images": good, "texts": found}, "some/model", eight_bits=eight_bits)


def test_not_a_number_does_not_agree():
    nothing = {"min": float("nan"), "mean": float("nan")}
    with pytest.raises(FingerprintMismatch):
        _onnx_models.check_agreement({"images": nothing}, "some/model", eight_bits=True)


@pytest.mark.parametrize(
    ("spec", "arguments", "message"),
    [
        ("onnx:demo", {"device": "cuda"}, "not on 'cuda'"),
        ("onnx:demo", {"precision": "bf16"}, "no precision 'bf16'"),
        ("onnx:onnx:demo", {}, "onnx:onnx:demo"),
        ("onnx:nothing-such", {}, "no encoder 'nothing-such'"),
        ("onnx:", {}, "there is no encoder ''"),
    ],
)
def test_names_and_arguments_that_cannot_work_are_named(spec, arguments, message):
    with pytest.raises(UsageError, match=message) as caught:
        open_encoder(spec, **arguments)
    assert isinstance(caught.value, MMRetrievalError)


def test_the_demo_model_is_known_in_every_form():
    assert all(is_demo(spec) for spec in ("demo", "onnx:demo", "onnx:demo:int8"))
    assert not any(is_demo(spec) for spec in ("onnx:ViT-B-32/openai", "local-dir:demo", "onnx:local-dir:demo:int8"))
