"""What a name for an encoder stands for, and the sentence one gets when it stands for nothing."""

import json
import re
from pathlib import Path

import numpy as np
import open_clip
import pytest
from example_models import change_config, write_family
from safetensors.torch import load_file, save_file

from mmretrieval import encoders
from mmretrieval.encoders import DEFAULT_ENCODER, open_encoder
from mmretrieval.encoders._clip_source import resolve
from mmretrieval.errors import InvalidData, MissingPrerequisite, MMRetrievalError, NotFound, UsageError


def one_sentence(error: MMRetrievalError) -> str:
    text = str(error)
    assert "\n" not in text.replace("\\n", "")
    assert len(text) > 20
    return text


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("ViT-B-23/openai", r"there is no encoder.*did you mean 'ViT-B-32/openai'"),
        ("vit-b-32/laion2b", r"did you mean 'ViT-B-32"),
        ("ViT-B-32", r"is an architecture; say which weights: choose one of ViT-B-32/openai"),
        ("ViT-B-32/openia", r"did you mean 'ViT-B-32/openai'"),
        ("ViT-B-16-SigLIP2-256/webly", r"did you mean 'ViT-B-16-SigLIP2-256/webli'"),
        ("ViT-M-16/x", r"ViT-M-16.*give a file of weights"),
        ("google/siglip2-base", r"a repository of the hub is written hf-hub:google/siglip2-base"),
        ("something", r"all names are listed by python -c"),
        ("", r"there is no encoder ''"),
        ("hf-hub:not a name/at all/x", r"no name of a repository"),
    ],
)
def test_a_name_nobody_knows_is_answered_with_close_ones(spec, expected):
    with pytest.raises(UsageError, match=expected) as caught:
        open_encoder(spec)
    one_sentence(caught.value)


@pytest.mark.parametrize("spec", ["local-dir:/no/such/folder", "/no/such/folder", "./nothing", "~/nothing-here"])
def test_a_folder_that_is_not_there_is_not_found(spec):
    with pytest.raises(NotFound, match="there is no folder"):
        open_encoder(spec)


@pytest.mark.parametrize(
    "spec",
    [
        DEFAULT_ENCODER,
        "default",
        "ViT-B-32/openai",
        "ViT-B/32/openai",
        "hf-hub:timm/nothing",
        "roberta-ViT-B-32/laion2b_s12b_b32k",
    ],
)
def test_what_is_not_cached_offline_is_said_in_one_sentence_with_the_cures(spec, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingPrerequisite) as caught:
        open_encoder(spec)
    text = one_sentence(caught.value)
    for part in ("needs", "HF_HUB_OFFLINE", "connect", "local-dir:", "HF_HOME", "--encoder demo", str(tmp_path)):
        assert part in text
    assert ("1,501 MB" in text) == (spec in (DEFAULT_ENCODER, "default"))


def test_the_default_is_known_to_open_clip_and_its_size_is_true():
    name, tag = DEFAULT_ENCODER.split("/")
    assert (name, tag) in open_clip.list_pretrained()
    with open_clip.model.torch.device("meta"):
        tower = open_clip.CustomTextCLIP(
            **{k: v for k, v in open_clip.get_model_config(name).items() if k != "custom_text"}
        )
    megabytes = sum(parameter.numel() for parameter in tower.parameters()) * 4 / 1e6
    assert megabytes == pytest.approx(1501, abs=1)
    assert abs(encoders.DEFAULT_ENCODER_MB - megabytes - 34) < 2


def test_every_pretrained_model_of_open_clip_lies_on_the_hub_and_tells_only_what_we_pass_on():
    known = {"url", "hf_hub", "mean", "std", "interpolation", "resize_mode", "quick_gelu"}
    for name, tag in open_clip.list_pretrained():
        told = open_clip.get_pretrained_cfg(name, tag)
        assert told["hf_hub"], f"{name}/{tag}"
        assert told.keys() <= known, f"{name}/{tag}"


def test_no_architecture_gets_a_tokenizer_by_the_sound_of_its_name():
    """open_clip falls back on names that contain 'siglip'; all of them name their tokenizer, so we need not."""
    for name in open_clip.list_models():
        if "siglip" in name.lower():
            assert open_clip.get_model_config(name)["text_cfg"]["hf_tokenizer_name"]


def test_weights_in_a_file_of_ones_own_serve_a_known_architecture(tmp_path):
    folder = write_family(tmp_path / "model", "vit")
    architecture = json.loads((folder / "open_clip_config.json").read_text("utf-8"))["model_cfg"]
    (tmp_path / "tiny-known-vit.json").write_text(json.dumps(architecture), "utf-8")
    open_clip.add_model_config(tmp_path / "tiny-known-vit.json")
    encoder = open_encoder(f"tiny-known-vit/{folder}/open_clip_model.safetensors", device="cpu")
    same = open_encoder(f"local-dir:{folder}", device="cpu")
    np.testing.assert_array_equal(encoder.encode_texts(["a dog"]), same.encode_texts(["a dog"]))
    assert encoder.fingerprint["weights"] == same.fingerprint["weights"]
    assert encoder.fingerprint["architecture"] == same.fingerprint["architecture"]


def test_openai_weights_bring_their_activation_function(tmp_path, monkeypatch):
    """open_clip only warns of the mismatch, and the vectors would be wrong."""
    weights = tmp_path / "open_clip_model.safetensors"
    weights.write_bytes(b"")
    monkeypatch.setattr("mmretrieval.hub.fetch", lambda *_: weights)
    assert resolve("ViT-B-32/openai").options["force_quick_gelu"] is True
    assert "force_quick_gelu" not in resolve("ViT-B-32-quickgelu/openai").options
    assert "force_quick_gelu" not in resolve("ViT-B-32/laion2b_s34b_b79k").options
    options = resolve("ViT-B-32/openai").options
    assert options["image_mean"] == open_clip.OPENAI_DATASET_MEAN
    assert options["image_resize_mode"] == "shortest"


@pytest.fixture
def broken(tmp_path):
    return write_family(tmp_path / "model", "custom-causal")


def remove_config(folder):
    (folder / "open_clip_config.json").unlink()


def garble_config(folder):
    (folder / "open_clip_config.json").write_text("{", "utf-8")


def forget_model(folder):
    (folder / "open_clip_config.json").write_text('{"preprocess_cfg": {}}', "utf-8")


def unknown_setting(folder):
    change_config(folder, "text_cfg", wings=2)


def remove_weights(folder):
    (folder / "open_clip_model.safetensors").unlink()


def cut_weights(folder):
    file = folder / "open_clip_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])


def empty_weights(folder):
    (folder / "open_clip_model.safetensors").write_bytes(b"")


def other_shape(folder):
    change_config(folder, "vision_cfg", width=48)


def lose_a_tensor(folder):
    file = folder / "open_clip_model.safetensors"
    tensors = load_file(file)
    del tensors["text.ln_final.weight"]
    save_file(tensors, file)


def remove_tokenizer(folder):
    for file in folder.glob("tokenizer*"):
        file.unlink()


def garble_tokenizer(folder):
    (folder / "tokenizer.json").write_text("{", "utf-8")


def forget_tokenizer(folder):
    change_config(folder, "text_cfg", hf_tokenizer_name=None)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (remove_config, "open_clip_config.json is missing"),
        (garble_config, "open_clip_config.json: cannot be read as JSON"),
        (forget_model, "open_clip_config.json: it needs a model_cfg"),
        (unknown_setting, "wings"),
        (remove_weights, "the weights are missing"),
        (cut_weights, "open_clip_model.safetensors: the weights are damaged or do not fit"),
        (empty_weights, "open_clip_model.safetensors: the weights are damaged or do not fit"),
        (other_shape, "open_clip_model.safetensors: the weights are damaged or do not fit.*size mismatch"),
        (lose_a_tensor, r"open_clip_model.safetensors: the weights are damaged or do not fit.*ln_final.weight"),
        (remove_tokenizer, "the tokenizer is missing"),
        (garble_tokenizer, "the tokenizer cannot be loaded"),
        (forget_tokenizer, "name it in text_cfg as hf_tokenizer_name"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_broken_folder_is_named_with_what_is_wrong(broken, harm, message):
    harm(broken)
    with pytest.raises(InvalidData, match=f"{re.escape(str(broken))}.*{message}") as caught:
        open_encoder(f"local-dir:{broken}")
    one_sentence(caught.value)


class Evil:
    def __reduce__(self):
        return print, ("this must never be run",)


def test_a_pickle_that_could_run_code_is_refused(broken, capsys):
    import pickle

    (broken / "open_clip_model.safetensors").unlink()
    (broken / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=2))
    with pytest.raises(InvalidData, match=r"open_clip_pytorch_model.bin: (it holds more than tensors|the weights are)"):
        open_encoder(f"local-dir:{broken}")
    assert "never be run" not in capsys.readouterr().out


def test_a_torch_file_with_more_than_tensors_is_refused(broken, capsys):
    import torch

    (broken / "open_clip_model.safetensors").unlink()
    torch.save({"state_dict": {"a": Evil()}}, broken / "open_clip_pytorch_model.bin")
    with pytest.raises(InvalidData, match="could run foreign code: use the model's safetensors file"):
        open_encoder(f"local-dir:{broken}")
    assert "never be run" not in capsys.readouterr().out


def test_weights_that_are_not_numbers_are_noticed_when_they_are_used(broken):
    file = broken / "open_clip_model.safetensors"
    save_file({name: tensor * float("nan") for name, tensor in load_file(file).items()}, file)
    with pytest.raises(InvalidData, match="row 0 is not finite"):
        open_encoder(f"local-dir:{broken}", device="cpu").encode_texts(["a dog"])


def test_the_demo_model_says_how_to_get_it_or_what_it_knows():
    if not (Path(encoders.__file__).parents[2] / "assets" / "demo-clip" / "open_clip_config.json").is_file():
        with pytest.raises(MissingPrerequisite, match="mmretrieval train clip") as caught:
            open_encoder("demo")
        one_sentence(caught.value)
        return
    demo = open_encoder("demo", device="cpu")
    assert demo.spec == "demo"
    assert "drawn demo world" in demo.knows
    assert demo.fingerprint == open_encoder(f"local-dir:{encoders.demo_folder()}", device="cpu").fingerprint


def test_other_libraries_keep_quiet(broken, caplog, capfd, recwarn):
    caplog.set_level("DEBUG")
    open_encoder(f"local-dir:{broken}", device="cpu").encode_texts(["a dog", "word " * 500])
    assert not [record for record in caplog.records if not record.name.startswith("mmretrieval")]
    assert capfd.readouterr() == ("", "")
    assert not list(recwarn)
