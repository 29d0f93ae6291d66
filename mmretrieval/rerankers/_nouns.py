"""Names of things as people write them, brought to one form: "two slices of Tomatoes" and "tomato" are the same thing.

English only: articles, numbers and measures are left out, plurals become singulars, and the synonyms of a short list
are one (the lists lie in `words/`). What it does not know stays as it is written, so other languages match by equal
words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

Noun = tuple[str, ...]  # its words, singular and in small letters; the last one is what the thing is

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[,;:.!?()/\n]")
_STOPS = ",;:.!?()/\n"


def singular(word: str) -> str:
    """The singular of an English word in small letters; a word that is one already comes back as it is."""
    known = _plurals().get(word)
    if known is not None:
        return known
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "xes", "sses", "zzes")):
        return word[:-2]
    return word[:-1]


def phrases(text: str) -> list[Noun]:
    """What a text names, in order and each once: runs of words between those that name nothing.

    It takes sentences and lists alike.
    Words for what something does end a run, too: "two red foxes sleeping on the left" is the red fox.
    """
    runs: list[list[str]] = [[]]
    for sign in _WORD.findall(unicodedata.normalize("NFKC", text).casefold()):
        word = singular(sign.removesuffix("'s").removesuffix("’s"))
        if not _is_break(sign):
            runs[-1].append(word)
        else:
            if sign == "of" and runs[-1] and runs[-1][-1] in _words("measures") | _words("containers"):
                runs.pop()
            runs.append([])
    return list(dict.fromkeys(noun for run in runs if (noun := _without_measure(run))))


def means(one: Noun, other: Noun) -> bool:
    """Whether two names may stand for one thing: the same, synonyms, or one a kind of the other as egg, fried egg."""
    short, long = sorted((_usual(one), _usual(other)), key=len)
    return bool(short) and long[len(long) - len(short) :] == short


def _usual(noun: Noun) -> Noun:
    """With its ending replaced by the first of the synonyms it belongs to; the longest ending counts."""
    for start in range(len(noun)):
        usual = _synonyms().get(noun[start:])
        if usual is not None:
            return noun[:start] + usual
    return noun


@cache
def _synonyms() -> dict[Noun, Noun]:
    """The first of its group, for every name of one."""
    groups = [[tuple(name.split()) for name in line.split(",")] for line in _lines("synonyms")]
    return {name: names[0] for names in groups for name in names}


@cache
def _plurals() -> dict[str, str]:
    pairs = ((plural, one) for plural, _, one in (line.partition(", ") for line in _lines("plurals")))
    return dict(pairs)


@cache
def _words(name: str) -> frozenset[str]:
    return frozenset(_lines(name))


def _lines(name: str) -> list[str]:
    return (files("mmretrieval.rerankers") / "words" / f"{name}.txt").read_text("utf-8").splitlines()


def _is_break(sign: str) -> bool:
    doing = len(sign) > 4 and sign.endswith("ing") and sign not in _words("things_in_ing")
    return sign in _STOPS or sign in _words("between_names") or sign.isdigit() or doing


def _without_measure(run: Sequence[str]) -> Noun:
    """Without a measure at its end, as in "cheese wedge"."""
    is_measured = len(run) > 1 and run[-1] in _words("measures")
    return tuple(run[:-1] if is_measured else run)
