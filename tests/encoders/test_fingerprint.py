"""The fingerprint changes with everything that changes a vector, and with nothing else."""

import json
import shutil

import pytest
import torch
from example_models import change_config, change_weight, write_tokenizer
from safetensors.torch import load_file

from mmretrieval.encoders.open_clip import OpenClip


def fingerprint(folder, **arguments):
    return dict(OpenClip(f"local-dir:{folder}", device="cpu", **arguments).fingerprint)


def changed(old, new):
    assert old.keys() == new.keys()
    return {key for key in old if old[key] != new[key]}


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "elsewhere" / "copy")


def test_it_is_plain_json(encoder):
    assert json.loads(json.dumps(encoder.fingerprint)) == encoder.fingerprint


def test_a_folder_that_moves_keeps_it(encoder, copy):
    assert fingerprint(copy) == encoder.fingerprint


def test_using_the_encoder_does_not_change_it(encoder, copy):
    used = OpenClip(f"local-dir:{copy}", device="cpu")
    used.encode_texts(["a dog", "word " * 500])
    used.too_long(["a dog"])
    assert used.fingerprint == encoder.fingerprint


def test_one_number_of_one_weight_changes_it(encoder, copy):
    change_weight(copy)
    assert changed(encoder.fingerprint, fingerprint(copy)) == {"weights"}


def test_the_same_numbers_in_another_kind_of_file_keep_it(encoder, copy):
    file = copy / "open_clip_model.safetensors"
    torch.save(load_file(file), copy / "open_clip_pytorch_model.bin")
    file.unlink()
    assert fingerprint(copy) == encoder.fingerprint


def test_a_default_written_out_keeps_it(encoder, copy):
    change_config(copy, "vision_cfg", mlp_ratio=4.0)
    change_config(copy, "text_cfg", ls_init_value=None, pad_id=0)
    assert fingerprint(copy) == encoder.fingerprint


@pytest.mark.parametrize(
    "change",
    [{"mean": [0.1, 0.2, 0.3]}, {"interpolation": "bilinear"}, {"resize_mode": "longest", "fill_color": 7}],
    ids=["mean", "interpolation", "resize mode"],
)
def test_another_preprocessing_changes_it(encoder, copy, change):
    change_config(copy, "preprocess_cfg", **change)
    assert changed(encoder.fingerprint, fingerprint(copy)) == {"preprocessing"}


@pytest.mark.parametrize("family", ["custom", "siglip"], indirect=True)
def test_another_tokenizer_changes_it(encoder, copy):
    write_tokenizer(copy, sentences=("one other sentence alone makes other pairs of letters",))
    assert changed(encoder.fingerprint, fingerprint(copy)) == {"tokenizer"}


@pytest.mark.parametrize("family", ["custom"], indirect=True)
def test_a_tokenizer_of_the_same_vocabulary_with_one_other_rule_changes_it(encoder, copy):
    file = copy / "tokenizer.json"
    rules = json.loads(file.read_text("utf-8"))
    merges = rules["model"]["merges"]
    merges[-1], merges[-2] = merges[-2], merges[-1]
    file.write_text(json.dumps(rules), "utf-8")
    assert changed(encoder.fingerprint, fingerprint(copy)) == {"tokenizer"}


@pytest.mark.parametrize("family", ["siglip"], indirect=True)
def test_another_way_to_clean_texts_changes_it(encoder, copy):
    change_config(copy, "text_cfg", tokenizer_kwargs={"clean": "whitespace"})
    assert changed(encoder.fingerprint, fingerprint(copy)) == {"tokenizer"}


@pytest.mark.parametrize("family", ["custom-causal"], indirect=True)
def test_another_architecture_for_the_same_weights_changes_it(encoder, copy):
    change_config(copy, "text_cfg", no_causal_mask=True)
    assert changed(encoder.fingerprint, fingerprint(copy)) == {"architecture"}


@pytest.mark.parametrize("family", ["custom-causal"], indirect=True)
def test_precision_is_part_of_it(encoder, folder):
    assert changed(encoder.fingerprint, fingerprint(folder, precision="bf16")) == {"precision"}
