"""The words of every question to a language model, once.

Each function makes an ask with two forms of its question: the full one, and the short one (`compact`) that small
models get, which is what the shipped one was trained on, letter by letter. Pictures come first. Words of a user, of a
caption or of another model are cleaned before they stand in a prompt. Whoever changes the words of a prompt raises
its number in `VERSIONS`, so that what was made with the old ones can be told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from mmretrieval.asks import Generate, ScoreChoices
from mmretrieval.untrusted import clean

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmretrieval.asks import Part

VERSIONS: Mapping[str, str] = MappingProxyType(
    {
        "caption": "caption-1",
        "ingredients": "ingredients-1",
        "aspects": "aspects-1",
        "target": "target-1",
        "parts": "parts-1",
        "fits": "fits-1",
        "grades": "grades-1",
        "list": "list-1",
        "grid": "grid-1",
    }
)

# What small models are asked; `{}` takes the query or the change.
CAPTION = "describe the picture"
INGREDIENTS = "list what is in it"
TARGET = "describe it after this change: {}"
FITS = "does it show {}? yes or no"
WHICH = "which picture shows {}?"
LABEL = "picture {}:"

YES_NO = ("yes", "no")
NOTHING_SAID = "anything"  # a query without content, which shows what a model prefers whatever is asked
MOST_WORDS = 1_000  # characters of a query inside a prompt

_OPENING = re.compile(
    r"(?:(?:please )?(?:show me|find(?: me)?) )?(?:(?:an?|the|some) )?"
    r"(?:(?:pictures?|photos?|photographs?|drawings?|images?) (?:of|with|showing) )|(?:please )?(?:show me|find me) ",
    re.IGNORECASE,
)

_FULL_CAPTION = (
    "Describe this picture in one factual sentence of at most 50 words. Name what is seen: each thing with its number, "
    "colour, material and place, what it does, and the surroundings. If it is a dish, name it when you are certain, "
    "its visible components, how they were prepared, and the container. Guess nothing that cannot be seen, such as "
    "taste, origin or mood. Answer with the sentence alone."
)
_FULL_INGREDIENTS = (
    "List the things that are visible in this picture, for a dish its food items, as common English nouns in lower "
    "case, most prominent first, at most 10, separated by commas. List nothing that cannot be seen. Answer with the "
    "list alone."
)
_FULL_TARGET = (
    'Imagine this picture after the following change: "{}". Describe the changed picture in one or two factual '
    "sentences of at most 60 words. Say what the change brings, and keep what it leaves as it is. Describe only what "
    "would be seen, and mention neither this picture nor the change itself. Answer with the description alone."
)
_FULL_PARTS = (
    'Take this search for pictures apart: "{}". Answer with one JSON object and nothing else: {{"wanted": [...], '
    '"avoided": [...]}}. "wanted" lists 1 to {} short phrases of at most 12 words, each clear without the others: a '
    'thing with its own number, colour and place, an action or relation, a background. "avoided" lists what must not '
    "be seen, named without the word no; it is empty when nothing is to be left out. Add nothing that the search does "
    "not say."
)
PARTS_SCHEMA: Mapping[str, Any] = MappingProxyType(
    {
        "type": "object",
        "properties": {name: {"type": "array", "items": {"type": "string"}} for name in ("wanted", "avoided")},
        "required": ["wanted", "avoided"],
        "additionalProperties": False,
    }
)

# A plan of captions: each is bound to one aspect, so that together they cover more than one prompt asked again.
ASPECTS: Mapping[str, str] = MappingProxyType(
    {
        "subject": "the main things, how many there are, and what they do",
        "attributes": "colours, materials, shapes and textures, each with the thing that has it",
        "scene": "the place, the background, the light and the weather",
        "writing": "any writing, sign, logo or brand, word for word; if there is none, answer: none",
        "ingredients": "each ingredient or component by its common name, most prominent first",
    }
)
# Small models know two questions about a single picture; other aspects are not asked of them.
COMPACT_ASPECTS: Mapping[str, str] = MappingProxyType({"subject": CAPTION, "ingredients": INGREDIENTS})
_FULL_ASPECT = (
    "Describe this picture in one factual sentence of at most 30 words, only in this respect: {}. Guess nothing that "
    "cannot be seen. Answer with the sentence alone."
)


def caption(image: Image) -> Generate:
    """One dense, factual sentence."""
    return Generate((image, _FULL_CAPTION), max_tokens=120, compact=(image, CAPTION))


def ingredients(image: Image) -> Generate:
    """A list of what is seen, separated by commas."""
    return Generate((image, _FULL_INGREDIENTS), max_tokens=80, compact=(image, INGREDIENTS))


def aspect(image: Image, name: str) -> Generate:
    """One sentence on one of `ASPECTS`; small models have a short form only for those of `COMPACT_ASPECTS`."""
    short = COMPACT_ASPECTS.get(name)
    full = _FULL_ASPECT.format(ASPECTS[name])
    return Generate((image, full), max_tokens=80, compact=(image, short) if short else ())


def target(image: Image, change: str) -> Generate:
    """A description of the picture after a change."""
    words = said(change)
    return Generate((image, _FULL_TARGET.format(words)), max_tokens=120, compact=(image, TARGET.format(words)))


Answer = Literal["yes", "true", "1", "grade"]
CHOICES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"yes": YES_NO, "true": ("true", "false"), "1": ("1", "0"), "grade": tuple("0123456789")}
)
_ANSWER_WITH = {
    "yes": "Answer with one word: yes or no.",
    "true": "Answer with one word: true or false.",
    "1": "Answer with one digit: 1 if it does, 0 if not.",
    "grade": "Grade it from 0 (nothing fits) to 9 (every detail fits). Answer with one digit.",
}


def parts(query: str, most: int) -> Generate:
    """What a query in words wants and what it avoids, as JSON; small models have no short form of it."""
    return Generate((_FULL_PARTS.format(said(query), most),), max_tokens=40 * most, schema=dict(PARTS_SCHEMA))


def fits(image: Image, query: str, *, answer: Answer = "yes", hint: str = "") -> ScoreChoices:
    """Whether the picture shows what the words say: log-probabilities of "yes" and "no", or of other answers.

    Small models know only "yes" and "no" and are given no hint.
    """
    return _judged(
        (image,), f'Does this picture show "{said(query)}"? Every detail must fit.', image, query, answer, hint
    )


def fits_change(
    reference: Image,
    change: str,
    image: Image,
    target_caption: str = "",
    *,
    answer: Answer = "yes",
    hint: str = "",
) -> ScoreChoices:
    """Whether `image` is the reference after the change; `target_caption` says in words what would be seen then.

    Small models are not shown the reference; without a target caption they are asked for the change alone.
    """
    question = (
        f'Does picture 2 show what picture 1 shows, after this change: "{said(change)}"? What the change leaves as it '
        "is must still fit."
    )
    return _judged(labelled([reference, image]), question, image, target_caption or change, answer, hint)


def alike(reference: Image, image: Image, caption: str = "", *, answer: Answer = "yes", hint: str = "") -> ScoreChoices:
    """Whether two pictures show the same. Small models, which see one picture, are asked for the reference's caption.

    Without a caption they get the full question.
    """
    question = "Does picture 2 show the same things as picture 1? Every detail must fit."
    return _judged(labelled([reference, image]), question, image, caption, answer, hint)


def _judged(
    shown: tuple[Part, ...], question: str, image: Image, words: str, answer: Answer, hint: str
) -> ScoreChoices:
    full = " ".join(piece for piece in (question, clean(hint), _ANSWER_WITH[answer]) if piece)
    short = compact_fits(image, words) if answer == "yes" and words else ()
    return ScoreChoices((*shown, full), CHOICES[answer], compact=short)


def which_of_list(images: Sequence[Image], query: str) -> ScoreChoices:
    """Which of several pictures shows it best: one log-probability for each label, "1" to "n"."""
    full = (*labelled(images), f'Which picture shows "{said(query)}" best? Answer with its number alone.')
    return ScoreChoices(full, labels(len(images)), compact=compact_list(images, query))


def which_of_grid(sheet: Image, cells: int, query: str) -> ScoreChoices:
    """Which cell of a sheet of numbered pictures shows it best: one log-probability for each label, "1" to "n"."""
    full = (
        f'This sheet holds {cells} pictures, each with its number. Which picture shows "{said(query)}" best? '
        "Answer with its number alone."
    )
    return ScoreChoices((sheet, full), labels(cells), compact=compact_grid(sheet, query))


def compact_fits(image: Image, query: str) -> tuple[Part, ...]:
    """The short form of `fits`."""
    return (image, FITS.format(bare(query)))


def compact_list(images: Sequence[Image], query: str) -> tuple[Part, ...]:
    """The short form of every question about labelled pictures."""
    return (*labelled(images), WHICH.format(bare(query)))


def compact_grid(sheet: Image, query: str) -> tuple[Part, ...]:
    """The short form of every question about a sheet."""
    return (sheet, WHICH.format(bare(query)))


def labelled(images: Sequence[Image]) -> tuple[Part, ...]:
    """Each picture behind its label, "picture 1:" first."""
    return tuple(part for n, image in enumerate(images, start=1) for part in (LABEL.format(n), image))


def labels(count: int) -> tuple[str, ...]:
    """The numbers from 1 to n, as strings."""
    return tuple(str(n) for n in range(1, count + 1))


def said(words: str) -> str:
    """Words as they may stand inside a prompt: cleaned, cut, and without a double quote that would end theirs."""
    return clean(words, MOST_WORDS).replace('"', "'")


def bare(words: str) -> str:
    """The words as `said`, without an opening such as "show me" or "a picture of", which small models never read."""
    plain = said(words)
    return plain[found.end() :] if (found := _OPENING.match(plain)) and found.end() < len(plain) else plain
