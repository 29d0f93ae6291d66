"""Words and pictures as a model's own chat template wants them.

Templates differ in what they take: a list of parts, or one text with marks for the pictures; some move all pictures
to the front. A trial with a drawn question finds the form that keeps pictures and words in their order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmretrieval.errors import InvalidData

if TYPE_CHECKING:
    from PIL.Image import Image

    from mmretrieval.asks import Part

_TRIAL = ("alpha", "beta", "gamma")
_OPEN_THOUGHT = re.compile(r"<think(?:ing)?>\s*$")
_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_THOUGHT_END = re.compile(r"^.*</think(?:ing)?>", re.DOTALL)
_THOUGHT_START = re.compile(r"<think(?:ing)?>.*$", re.DOTALL)


class Chat:
    """Renders one user turn, with the assistant's turn begun."""

    def __init__(self, processor: Any, shown: str, *, thinking: bool = False) -> None:
        """Raises InvalidData when there is no chat template, or none of its forms keeps pictures in place."""
        self._processor = processor
        self._thinking = thinking
        tokenizer = processor.tokenizer
        self._template = _template_of(processor, shown)
        self.image_token = str(getattr(processor, "image_token", "") or getattr(tokenizer, "image_token", "") or "")
        if not self.image_token:
            raise InvalidData(f"{shown}: its processor names no token for pictures, so it cannot be shown any")
        self._marks = _marks_of(tokenizer, self.image_token)
        self._placed = getattr(processor, "boi_token", None) or self.image_token  # what the template writes
        self._form = self._find_form(shown)

    def render(self, parts: Sequence[Part], prefill: str = "", *, answer_now: bool = False) -> str:
        """The prompt as text, one mark per picture. `answer_now` closes a thought that the template leaves open."""
        text = self._written(self._form, [self._cleaned(part) for part in parts])
        if answer_now and _OPEN_THOUGHT.search(text):
            text = f"{text.rstrip()}\n\n</think>\n\n"
        return text + prefill

    def answer_in(self, raw: str, prompt: str) -> str:
        """What a model said, without its thoughts; a thought that never ends leaves nothing."""
        if _OPEN_THOUGHT.search(prompt) and not _THOUGHT_END.match(raw):
            return ""
        said = _THOUGHT.sub("", raw)
        said = _THOUGHT_END.sub("", said) if _THOUGHT_END.match(said) else said
        return self._marks.sub("", _THOUGHT_START.sub("", said)).strip()

    def _cleaned(self, part: Part) -> Part:
        """Words without the marks that structure a conversation, which only the template may write."""
        return self._marks.sub(" ", part) if isinstance(part, str) else part

    def _find_form(self, shown: str) -> str:
        failed = ""
        for form in ("parts", "marks", "string"):
            try:
                text = self._written(form, [_TRIAL[0], _IMAGE, _TRIAL[1], _IMAGE, _TRIAL[2]])
            except Exception as error:  # noqa: BLE001 - templates are programs, and fail in any way
                failed = f" ({type(error).__name__}: {error})"
                continue
            kept = re.findall("|".join(map(re.escape, (*_TRIAL, self._placed))), text)
            if kept == [_TRIAL[0], self._placed, _TRIAL[1], self._placed, _TRIAL[2]]:
                return form
        raise InvalidData(
            f"{shown}: its chat template does not keep words and pictures in their order{failed}: put the template "
            "of an instruction-tuned vision-language model into chat_template.jinja"
        )

    def _written(self, form: str, parts: Sequence[Part | _Mark]) -> str:
        if form == "parts":
            content: Any = [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image"} for p in parts]
        else:
            content = "".join(p if isinstance(p, str) else self._placed for p in parts)
            content = [{"type": "text", "text": content}] if form == "marks" else content
        told = {"enable_thinking": self._thinking} if "enable_thinking" in str(self._template) else {}
        text: str = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            chat_template=self._template if isinstance(self._template, str) else None,
            add_generation_prompt=True,
            tokenize=False,
            **told,
        )
        return text


class _Mark:
    """Stands for a picture where only its place matters."""


_IMAGE = _Mark()


def pictures_in(parts: Sequence[Part]) -> list[Image]:
    """The pictures among the parts, in their order."""
    return [part for part in parts if not isinstance(part, str)]


def _template_of(processor: Any, shown: str) -> Any:
    template = getattr(processor, "chat_template", None) or getattr(processor.tokenizer, "chat_template", None)
    if not template:
        raise InvalidData(
            f"{shown}: it has no chat template, so nobody knows how it wants to be asked: use an instruction-tuned "
            "model, or put its template into chat_template.jinja"
        )
    return template


def _marks_of(tokenizer: Any, image_token: str) -> re.Pattern[str]:
    """All tokens that are more than words, longest first."""
    special = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    marks = sorted({*special, *tokenizer.all_special_tokens, image_token} - {""}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, marks)))
