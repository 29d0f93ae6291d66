"""F4-ITS' measures (arXiv 2508.17037): top-1 by the caption's words, and mAP@10 of the ingredients of a photograph.

`published` follows the authors' code: AP is divided by all true ingredients, so more than ten make 1 unreachable, and
a predicted "apple" meets a true "apples" but not the other way round. `ours` divides by min(ingredients, k), takes
singular and plural as the same both ways, and counts an ingredient once. Captions are compared without regard to case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

from mmretrieval.errors import InvalidData

Rule = Literal["published", "ours"]


def top_1(predicted: Mapping[str, str], truth: Mapping[str, str]) -> float:
    """The share of pictures whose predicted caption is the true one; a picture without prediction counts 0."""
    if not truth:
        raise InvalidData("there is no picture with a true caption")
    return fmean(float(predicted.get(each, "").casefold() == caption.casefold()) for each, caption in truth.items())


def ingredient_ap(predicted: Sequence[str], truth: Sequence[str], k: int = 10, rule: Rule = "ours") -> float:
    """AP@k of a list of ingredients, the surest first; see the module for the two rules.

    Raises InvalidData without a true ingredient: such pictures are to be left out, and counted.
    """
    if not truth:
        raise InvalidData("a picture without a true ingredient has no AP: leave it out, and count it")
    items = set(truth) if rule == "published" else {_one_form(item) for item in truth}
    seen: set[str] = set()
    total = found = 0.0
    for place, item in enumerate(predicted[:k], start=1):
        form = item if rule == "published" else _one_form(item)
        is_met = form in items or (rule == "published" and f"{form}s" in items)
        if is_met and (rule == "published" or form not in seen):
            found += 1
            total += found / place
        seen.add(form)
    return total / (len(items) if rule == "published" else min(len(items), k))


def ingredient_map(
    predicted: Mapping[str, Sequence[str]], truth: Mapping[str, Sequence[str]], k: int = 10, rule: Rule = "ours"
) -> float:
    """The mean over all pictures that have a true ingredient."""
    judged = {each: items for each, items in truth.items() if items}
    if not judged:
        raise InvalidData("there is no picture with a true ingredient")
    return fmean(ingredient_ap(predicted.get(each, ()), items, k, rule) for each, items in judged.items())


def _one_form(item: str) -> str:
    """The item in lower case, without the plural's s: enough for names of food, and never two letters or fewer."""
    words = " ".join(item.split()).casefold()
    if words.endswith(("ches", "shes", "oes", "xes", "sses")):
        return words[:-2]
    if words.endswith("ies") and len(words) > 4:
        return f"{words[:-3]}y"
    return words[:-1] if words.endswith("s") and not words.endswith("ss") and len(words) > 3 else words
