"""Vectors of every family: those of open_clip itself, whatever stands in the batch."""

import threading

import numpy as np
import open_clip
import pytest
import torch

from mmretrieval.encoders import open_encoder
from mmretrieval.encoders.open_clip import BATCH, OpenClip
from mmretrieval.errors import InvalidData, MissingPrerequisite, UsageError

TEXTS = [
    "a dog",
    "Two slices of lime, and rice with red beans; on a wooden table!",
    "",
    "three white herons in the rain " * 9,
    "суп 汤 🍲",
    *(f"picture number {n} of the snow" for n in range(63)),
]


@pytest.fixture(scope="module")
def direct(folder):
    """The same model, used through open_clip's own functions and nothing of ours."""
    name = f"local-dir:{folder}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    return model.eval(), preprocess, open_clip.get_tokenizer(name)


def test_pictures_get_the_vectors_of_open_clip(encoder, direct, pictures):
    model, preprocess, _ = direct
    some = [*range(6), *range(BATCH - 2, len(pictures))]
    with torch.no_grad():
        expected = [model.encode_image(preprocess(pictures[at])[None], normalize=True)[0].numpy() for at in some]
    np.testing.assert_allclose(encoder.encode_images(pictures)[some], expected, atol=2e-6)


def test_words_get_the_vectors_of_open_clip_which_does_not_trim_padding(encoder, direct):
    model, _, tokenizer = direct
    some = [*range(6), *range(BATCH - 2, len(TEXTS))]
    with torch.no_grad():
        expected = [model.encode_text(tokenizer([TEXTS[at]]), normalize=True)[0].numpy() for at in some]
    np.testing.assert_allclose(encoder.encode_texts(TEXTS)[some], expected, atol=2e-6)


def test_padding_is_trimmed_exactly_where_nothing_looks_at_it(encoder, family):
    assert encoder.towers.trims == (family in ("vit", "resnet", "custom-causal"))


@pytest.mark.parametrize("family", ["vit", "custom-causal"], indirect=True)
def test_trimming_leaves_fewer_positions_to_compute(encoder):
    seen = []
    hook = encoder.towers.text_side.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].shape[1]))
    try:
        encoder.encode_texts(["a dog"])
        encoder.encode_texts(["a dog", "a dog on a wooden table"])
    finally:
        hook.remove()
    assert seen[0] < seen[1] < encoder.words.context


def test_a_row_does_not_depend_on_its_batch(encoder, pictures):
    assert len(pictures) > BATCH
    assert len(TEXTS) > BATCH
    order = np.random.default_rng(0).permutation(len(pictures))
    shuffled = encoder.encode_images([pictures[at] for at in order])
    np.testing.assert_allclose(shuffled, encoder.encode_images(pictures)[order], atol=2e-6)
    alone = np.concatenate([encoder.encode_texts([text]) for text in TEXTS[:8]])
    np.testing.assert_allclose(encoder.encode_texts(TEXTS)[:8], alone, atol=2e-6)


def test_rows_are_unit_float32(encoder, pictures):
    for rows in (encoder.encode_images(pictures[:3]), encoder.encode_texts(TEXTS[:3])):
        assert (rows.dtype, rows.shape) == (np.float32, (3, encoder.dim))
        np.testing.assert_allclose(np.linalg.norm(rows.astype(np.float64), axis=1), 1, atol=1e-6)


def test_the_input_size_is_that_of_the_preprocessing(encoder, direct):
    sizes = np.atleast_1d(direct[0].visual.preprocess_cfg["size"])
    assert encoder.input_size == max(sizes)


def test_half_precision_stays_close_to_full(folder, encoder, pictures):
    half = OpenClip(f"local-dir:{folder}", device="cpu", precision="bf16")
    assert half.fingerprint["precision"] == "bf16"
    for ours, full in (
        (half.encode_images(pictures[:9]), encoder.encode_images(pictures[:9])),
        (half.encode_texts(TEXTS[:9]), encoder.encode_texts(TEXTS[:9])),
    ):
        assert ours.dtype == np.float32
        assert ((ours * full).sum(axis=1) > 0.99).all()
        assert not np.array_equal(ours, full)


def test_many_threads_get_the_same_vectors(encoder, pictures):
    expected = encoder.encode_texts(TEXTS[:4]), encoder.encode_images(pictures[:4])
    wrong = []

    def use():
        for _ in range(5):
            if not np.allclose(encoder.encode_texts(TEXTS[:4]), expected[0], atol=1e-6):
                wrong.append("texts")
            if not np.allclose(encoder.encode_images(pictures[:4]), expected[1], atol=1e-6):
                wrong.append("images")
            encoder.too_long(TEXTS[:4])

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_plain_folder_is_enough_of_a_name(folder, encoder):
    plain = open_encoder(str(folder), device="cpu")
    assert plain.spec == encoder.spec == f"local-dir:{folder}"
    np.testing.assert_array_equal(plain.encode_texts(["a dog"]), encoder.encode_texts(["a dog"]))
    assert open_encoder(f"open_clip:{folder}", device="cpu").fingerprint == plain.fingerprint


def test_a_folder_named_from_here_is_found_from_anywhere(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(folder.parent)
    spec = open_encoder(f"local-dir:{folder.name}", device="cpu").spec
    monkeypatch.chdir(tmp_path)
    assert open_encoder(spec, device="cpu").spec == spec


def test_half_a_character_is_refused(encoder):
    with pytest.raises(InvalidData, match="half a character"):
        encoder.encode_texts(["a dog", "\udcff"])


@pytest.mark.parametrize("family", ["custom-causal"], indirect=True)
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"device": "gpu"}, UsageError, "no device 'gpu'"),
        ({"device": "meta"}, UsageError, "'meta' is not supported"),
        ({"device": "cuda:99"}, MissingPrerequisite, "'cuda:99' is not available"),
        ({"precision": "int8"}, UsageError, "precision 'int8'"),
        ({"long_text": "drop"}, UsageError, "truncate or average"),
    ],
    ids=["unknown device", "useless device", "missing device", "precision", "long text"],
)
def test_arguments_that_cannot_work_are_named(folder, arguments, error, message):
    with pytest.raises(error, match=message):
        OpenClip(f"local-dir:{folder}", **arguments)
