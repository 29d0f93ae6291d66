"""Hints: the loss by value, and that a dialogue points where words and pictures stand."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from mmretrieval import prompts
from mmretrieval.demo.edits import edit
from mmretrieval.demo.sample import scene
from mmretrieval.demo.scenes import FoodPlate, Serving
from mmretrieval.demo.vocabulary import INGREDIENTS
from mmretrieval.training import vlm_hints
from mmretrieval.training.vlm_alignment import SCALE, Alignment
from mmretrieval.training.vlm_changes import ask_changed
from mmretrieval.training.vlm_dialogue import IGNORED, Dialogue
from mmretrieval.training.vlm_folder import ASSISTANT, HEADS, IMAGE, LAYERS, write_tokenizer
from mmretrieval.training.vlm_hints import NOWHERE, Hint
from mmretrieval.training.vlm_phrases import ask_phrases, joined, phrases
from mmretrieval.training.vlm_things import things


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("words")
    write_tokenizer(folder, "0", scenes=300)
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def dialogue_of(tokenizer: Tokenizer) -> Dialogue:
    def encode(text: str) -> tuple[list[int], list[int]]:
        encoded = tokenizer.encode(text, add_special_tokens=False)
        return encoded.ids, [end for _, end in encoded.offsets]

    dialogue = Dialogue(encode)
    dialogue.user()
    dialogue.picture(np.zeros((9, 368), np.float16))
    return dialogue


def test_the_loss_of_hints_is_the_mean_surprise_at_where_heads_look() -> None:
    rng = np.random.default_rng(0)
    raw = rng.random((LAYERS, 2, HEADS, 6, 6))
    attentions = raw / raw.sum(-1, keepdims=True)
    hints = [[Hint("look", 3, (1, 2)), Hint("copy", 4, NOWHERE)], [Hint("look", 5, (0,)), Hint("copy", 2, (1,))]]
    slow = []
    for layer, head in vlm_hints.HEADS["look"]:
        masses = [attentions[layer, 0, head, 3, 1:3].sum(), attentions[layer, 1, head, 5, 0]]
        slow.append(-sum(math.log(mass + 1e-15) for mass in masses) / 2)
    ((layer, head),) = vlm_hints.HEADS["copy"]
    nothing, taken = attentions[layer, 0, head, 4, 0], attentions[layer, 1, head, 2, 1]
    slow.append(-(0.2 * math.log(nothing + 1e-15) + math.log(taken + 1e-15)) / 1.2)
    found = vlm_hints.loss([torch.tensor(layer) for layer in attentions], hints)
    assert float(found) == pytest.approx(sum(slow) / len(slow), rel=1e-6)


def test_every_head_that_is_told_where_to_look_exists() -> None:
    heads = [pair for pairs in vlm_hints.HEADS.values() for pair in pairs]
    assert all(0 <= layer < LAYERS and 0 <= head < HEADS for layer, head in heads)


def test_words_about_a_picture_point_at_the_tokens_that_show_what_they_name(tokenizer: Tokenizer) -> None:
    shown = next(one for n in range(99) if len(things(one := scene("hints", n, "food"))) > 1)
    there = list(things(shown).values())
    name = INGREDIENTS[there[0].kind][0][0]
    dialogue = dialogue_of(tokenizer)
    picture = dialogue.ids.index(IMAGE)
    dialogue.words_about(prompts.FITS.format(f"one {name} somewhere"), shown, single=True)
    look, find, read = dialogue.hints
    assert find == Hint("find", look.at, look.to)
    assert look.to == tuple(picture + token for token in there[0].where)
    assert tokenizer.decode(dialogue.ids[: look.at + 1]).strip().endswith(name.split()[-1])
    assert read == Hint("read", len(dialogue.ids), (look.at,))
    dialogue.answer("yes")
    assert dialogue.ids[read.at] == ASSISTANT


def plate(**servings: str) -> FoodPlate:
    """Two of each kind, at its place."""
    lying = tuple(Serving(kind, "two", place) for kind, place in servings.items())
    return FoodPlate(lying, plate="round", plate_colour="white", table="wood", cutlery="none", side="")


def asked_of(
    tokenizer: Tokenizer, before: FoodPlate, after: FoodPlate, words: str
) -> tuple[Dialogue, Callable[[int], str]]:
    dialogue = dialogue_of(tokenizer)
    ask_changed(dialogue, before, after, words, 5.0)
    return dialogue, lambda at: tokenizer.decode([dialogue.ids[at]]).strip()


def test_what_comes_instead_is_tied_to_what_goes_and_finds_its_place(tokenizer: Tokenizer) -> None:
    before, after = plate(egg="left", rice="top"), plate(tomato="left", rice="top")
    dialogue, word = asked_of(tokenizer, before, after, "replace the eggs with tomatoes")
    (tie,) = (hint for hint in dialogue.hints if hint.kind == "tie")
    assert "tomatoes".endswith(word(tie.at))
    assert "eggs".endswith(word(tie.to[0]))
    picture = dialogue.ids.index(IMAGE)
    at_the_new = {hint.kind: hint.to for hint in dialogue.hints if hint.at == tie.at and hint.kind != "tie"}
    assert at_the_new == {"look": NOWHERE, "find": (picture + 3,)}
    named_so = [hint for hint in dialogue.hints if hint.kind == "copy" and hint.to == (tie.at,)]
    assert "".join(word(hint.at + 1) for hint in named_so) == "tomatoes"


def test_the_later_word_carries_both_where_what_comes_is_said_first(tokenizer: Tokenizer) -> None:
    before, after = plate(egg="left", rice="top"), plate(tomato="left", rice="top")
    dialogue, word = asked_of(tokenizer, before, after, "2 tomatoes instead of the eggs")
    (tie,) = (hint for hint in dialogue.hints if hint.kind == "tie")
    assert "eggs".endswith(word(tie.at))
    assert "tomatoes".endswith(word(tie.to[0]))
    assert any(hint.kind == "copy" and hint.to == (tie.at,) for hint in dialogue.hints)


def test_what_is_added_is_tied_to_the_words_for_its_place(tokenizer: Tokenizer) -> None:
    before, after = plate(egg="left"), plate(egg="left", tomato="bottom")
    dialogue, word = asked_of(tokenizer, before, after, "add two tomatoes at the bottom")
    (tie,) = (hint for hint in dialogue.hints if hint.kind == "tie")
    assert "at the bottom".endswith(word(tie.at))
    picture = dialogue.ids.index(IMAGE)
    assert Hint("find", tie.at, (picture + 7,)) in dialogue.hints
    copied = "".join(word(hint.at + 1) for hint in dialogue.hints if hint.kind == "copy" and hint.to == (tie.at,))
    assert sorted(copied) == sorted("two" + "tomatoes" + "bottom")


def test_hints_never_look_ahead_and_stay_in_the_dialogue(tokenizer: Tokenizer) -> None:
    rng = Random(5)
    for number in range(200):
        shown = scene("ahead", number, "both")
        dialogue = dialogue_of(tokenizer)
        changed, words = edit(shown, rng)
        ask_changed(dialogue, shown, changed, words, 5.0)
        dialogue.user()
        ask_phrases(dialogue, shown, rng, 8.0)
        assert all(0 <= to <= hint.at < len(dialogue.ids) for hint in dialogue.hints for to in hint.to)


def test_every_phrase_is_known_to_hold_or_not_and_the_answer_follows(tokenizer: Tokenizer) -> None:
    yes, no = (tokenizer.encode(word, add_special_tokens=False).ids[0] for word in prompts.YES_NO)
    rng, answers = Random(6), []
    for number in range(300):
        shown = scene("phrases", number, "both")
        dialogue = dialogue_of(tokenizer)
        start = len(dialogue.ids)
        ask_phrases(dialogue, shown, rng, 8.0)
        mark = dialogue.ids.index(ASSISTANT)
        ends = [at for at in range(start, mark) if dialogue.targets[at + 1] != IGNORED]
        known = [dialogue.targets[at + 1] for at in ends if at + 1 < mark]
        assert known
        assert dialogue.ids[mark + 1] == (yes if set(known) == {yes} else no)
        (gathered,) = (hint.to for hint in dialogue.hints if hint.kind == "gather")
        failed = tuple(at for at in ends if dialogue.targets[at + 1] == no and at + 1 < mark)
        assert gathered == (failed or NOWHERE)
        answers.append(dialogue.ids[mark + 1])
    assert 100 < answers.count(yes) < 200


def test_phrases_say_their_facts_and_nothing_else() -> None:
    rng = Random(7)
    for number in range(300):
        shown = scene("said", number, "both")
        parts = phrases(shown, shown.facts, rng)
        facts = [fact for part in parts for fact in part.facts]
        assert sorted(facts) == sorted(shown.facts)
        text, ends = joined(parts)
        assert [text[:end].endswith(part.text) for part, end in zip(parts, ends, strict=True)] == [True] * len(parts)
        assert ends[-1] == len(text)


def test_the_distance_of_pictures_from_words_is_a_softmax_over_every_family(tokenizer: Tokenizer) -> None:
    """The slow way, one thing at a time, in NumPy."""
    alignment = Alignment(lambda text: tokenizer.encode(text, add_special_tokens=False).ids)
    scenes = [scene("align", number, "both") for number in range(30)]
    rng = np.random.default_rng(0)
    embeddings = rng.normal(size=(tokenizer.get_vocab_size(), 16))
    pictures = rng.normal(size=(len(scenes), 9, 16))

    def unit(rows: np.ndarray) -> np.ndarray:
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    by_family: dict[str, list[float]] = {}
    for shown, tokens in zip(scenes, pictures, strict=True):
        for thing in alignment.things(shown):
            looks = unit(unit(tokens[list(thing.where)]).mean(0))
            scores = [
                np.logaddexp.reduce(SCALE * unit(embeddings[ids]) @ looks) for ids in alignment.values[thing.family]
            ]
            surprise = np.logaddexp.reduce(scores) - scores[thing.value]
            by_family.setdefault(thing.family, []).append(float(surprise))
    assert set(by_family) == set(alignment.values)
    slow = np.mean([np.mean(values) for values in by_family.values()])
    found = alignment.loss(torch.tensor(pictures).float(), torch.tensor(embeddings).float(), scenes)
    assert float(found) == pytest.approx(slow, rel=1e-4)
