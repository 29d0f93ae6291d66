"""Folders and names: what can be opened, and in which words the rest is refused."""

import json
import shutil

import pytest
import torch
from plain_vlm import picture
from tiny_vlms import CHATML, change_json, write_vlm
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from mmretrieval.asks import ScoreChoices
from mmretrieval.errors import InvalidData, MissingPrerequisite, NotFound, UsageError
from mmretrieval.mllm_names import demo_folder, open_mllm
from mmretrieval.mllms.transformers import Transformers

ASK = ScoreChoices(("is this ", picture(1), "rice?"), ("yes", "no"))


@pytest.fixture
def copy(qwen_folder, tmp_path):
    return shutil.copytree(qwen_folder, tmp_path / "model")


def change_template(folder, template):
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def refused(folder, kind=InvalidData):
    with pytest.raises(kind) as caught:
        Transformers(str(folder), device="cpu")
    return str(caught.value)


def test_a_folder_that_is_not_there_is_said_so(tmp_path):
    assert "there is no folder" in refused(tmp_path / "nothing", NotFound)
    assert "is written ORGANISATION/NAME" in refused("justaname", NotFound)


def test_a_folder_without_a_model_is_said_so(tmp_path):
    assert "has no config.json" in refused(tmp_path)


def test_a_hub_model_that_is_not_here_needs_the_network(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    said = refused("acme/vlm", MissingPrerequisite)
    assert "the language model 'acme/vlm' needs config.json of acme/vlm" in said
    assert "HF_HUB_OFFLINE is set" in said


def test_a_hub_model_in_the_cache_opens_without_network(qwen_folder, qwen, monkeypatch, tmp_path):
    from huggingface_hub import constants

    home = tmp_path / "models--acme--vlm"
    shutil.copytree(qwen_folder, home / "snapshots" / ("a" * 40))
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("a" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    model = open_mllm("acme/vlm", device="cpu")
    assert model.spec == "acme/vlm"
    assert model.answer([ASK])[0].log_probs == pytest.approx(qwen.answer([ASK])[0].log_probs)
    assert model.fingerprint == qwen.fingerprint


def test_weights_that_may_carry_code_are_not_opened(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert "weights must be safetensors, since other formats may carry code" in refused(copy)


def test_damaged_weights_are_refused(copy):
    (copy / "model.safetensors").write_bytes(b"not tensors at all, though long enough")
    assert "model.safetensors is damaged or no safetensors file" in refused(copy)


def test_a_model_that_brings_its_own_code_is_refused(copy):
    (copy / "modeling_own.py").write_text("raise SystemExit('never run')")
    change_json(
        copy / "config.json",
        model_type="own_vlm",
        auto_map={"AutoConfig": "modeling_own.C", "AutoModel": "modeling_own.M"},
    )
    assert "brings program code of its own, which is never run" in refused(copy)


def test_a_kind_that_the_library_does_not_know_is_refused(copy):
    change_json(copy / "config.json", model_type="from_the_future")
    assert "newer version of transformers: pip install --upgrade transformers" in refused(copy)


def test_a_model_of_words_alone_is_refused(copy, qwen_folder, tmp_path):
    words = tmp_path / "words"
    config = Qwen2Config(
        vocab_size=700, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    Qwen2ForCausalLM(config).save_pretrained(words)
    PreTrainedTokenizerFast.from_pretrained(qwen_folder).save_pretrained(words)
    assert "has no processor for pictures" in refused(words)
    for file in words.iterdir():
        if file.name in ("config.json", "model.safetensors"):
            shutil.copy(file, copy / file.name)
    assert "is of the kind 'qwen2', which takes no pictures with words" in refused(copy)


def test_a_model_without_a_chat_template_is_refused(copy):
    (copy / "chat_template.jinja").unlink()
    assert "it has no chat template, so nobody knows how it wants to be asked" in refused(copy)


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('no user turn') }}",
        "words, whatever is asked",
    ],
)
def test_a_template_that_shows_no_pictures_is_refused(copy, template):
    change_template(copy, template)
    assert "its chat template does not keep words and pictures in their order" in refused(copy)


def test_a_template_that_moves_pictures_to_the_front_is_led_around(copy, qwen):
    """As those of some LLaVA models: all pictures first, then the words."""
    change_template(
        copy,
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
        "{% for p in m['content'] %}{% if p['type'] == 'image' %}<|image_pad|>{% endif %}{% endfor %}"
        "{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    )
    model = Transformers(str(copy), device="cpu")
    assert model._serving._chat.render(("a", picture(1), "b", picture(2), "c")) == (
        "<|im_start|>user\na<|image_pad|>b<|image_pad|>c<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_template_that_takes_one_text_gets_one(copy):
    change_template(
        copy,
        "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
    )
    model = Transformers(str(copy), device="cpu")
    assert model._serving._chat.render(("a", picture(1), "b")) == "user: a<|image_pad|>b\nassistant: "


def test_a_template_may_lie_in_the_settings_of_the_tokenizer(copy, qwen):
    """As in folders that older versions of the library wrote."""
    (copy / "chat_template.jinja").unlink()
    change_json(copy / "tokenizer_config.json", chat_template=CHATML)
    assert Transformers(str(copy), device="cpu").answer([ASK]) == qwen.answer([ASK])


def test_thoughts_are_switched_off_and_never_part_of_an_answer(qwen_folder, qwen):
    chat = qwen._serving._chat
    assert chat.render(("a",)).endswith("<think>\n\n</think>\n\n")
    thinking = Transformers(str(qwen_folder), device="cpu", thinking=True)._serving._chat
    assert thinking.render(("a",)).endswith("assistant\n")
    said = chat.answer_in
    assert said("<think>it may be 3</think> 2 > 1<|im_end|>", "") == "2 > 1"
    assert said("it may be 3</think> 2 > 1", "assistant\n<think>\n") == "2 > 1"
    assert said("<think>it may be 3", "") == ""
    assert said("it may be 3", "assistant\n<think>\n") == ""
    assert said("plain", "") == "plain"


def test_a_template_that_always_thinks_is_cut_short_for_choices(copy):
    change_template(copy, CHATML.partition("{% if enable_thinking")[0] + "<think>\n{% endif %}")
    chat = Transformers(str(copy), device="cpu")._serving._chat
    assert chat.render(("a",), answer_now=True).endswith("assistant\n<think>\n\n</think>\n\n")
    assert chat.render(("a",)).endswith("assistant\n<think>\n")


def test_the_fingerprint_follows_the_model_not_its_place(qwen_folder, copy, qwen):
    assert Transformers(str(copy), device="cpu", called="other").fingerprint == qwen.fingerprint
    assert json.loads(json.dumps(qwen.fingerprint)) == qwen.fingerprint
    kinds = [qwen.fingerprint["model"]]
    for change in (
        lambda: change_template(copy, CHATML.replace("assistant\n", "assistant:\n")),
        lambda: change_json(copy / "processor_config.json", note="another"),
        lambda: write_vlm(copy, "qwen3_vl", seed=1),
    ):
        change()
        kinds.append(Transformers(str(copy), device="cpu").fingerprint["model"])
    assert len(set(kinds)) == 4
    assert Transformers(str(qwen_folder), device="cpu", dtype="bfloat16").fingerprint != qwen.fingerprint


def test_a_folder_in_half_precision_computes_in_full_on_a_cpu(copy, qwen):
    from safetensors.torch import load_file, save_file

    whole = load_file(copy / "model.safetensors")
    save_file({name: value.half() for name, value in whole.items()}, copy / "model.safetensors", {"format": "pt"})
    model = Transformers(str(copy), device="cpu")
    assert model.dtype == "float32"
    assert {weight.dtype for weight in model._serving._loaded.model.parameters()} == {torch.float32}
    assert model.answer([ASK])[0].log_probs == pytest.approx(qwen.answer([ASK])[0].log_probs, abs=0.05)


def test_an_unknown_number_format_or_device_is_refused(qwen_folder):
    with pytest.raises(UsageError, match="'int3' is not supported: use auto, float32, bfloat16, float16"):
        Transformers(str(qwen_folder), device="cpu", dtype="int3")
    with pytest.raises(UsageError, match="device 'tpu9'"):
        Transformers(str(qwen_folder), device="tpu9")


def test_names_say_which_back_end_and_which_form_of_questions(qwen_folder):
    assert open_mllm(f"{qwen_folder}?compact=no", device="cpu").compact is False
    assert open_mllm(f"transformers:{qwen_folder}", device="cpu").compact is True
    with pytest.raises(UsageError, match="write \\?compact=yes or \\?compact=no"):
        open_mllm(f"{qwen_folder}?compact=maybe")
    with pytest.raises(UsageError, match="the language model has no name"):
        open_mllm(" ")


def test_the_demo_model_is_the_one_that_ships():
    try:
        folder = demo_folder()
    except MissingPrerequisite as error:
        assert "assets/demo-vlm is missing" in str(error)  # noqa: PT017 - a checkout without it is told so
        pytest.skip("assets/demo-vlm is not part of this checkout")
    model = open_mllm("demo", device="cpu")
    assert (model.spec, model.compact, model.folder.path) == ("demo", True, folder.resolve())
