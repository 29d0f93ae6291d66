"""What a language model was shown and what it answered, kept small enough to be looked at, as HTML."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from mmretrieval.asks import Failed
from mmretrieval.web.pictures import encoded

if TYPE_CHECKING:
    from mmretrieval.watching import Exchange

MOST, MOST_WEIGHT = 24, 3 * 2**20  # exchanges of one run that are kept to be looked at, and their bytes
_MOST_PICTURES, _MOST_WORDS = 20, 4_000  # of one exchange
_ALONE, _AMONG_OTHERS = 1024, 256  # pixels of the longer side


@dataclass(frozen=True, slots=True)
class Seen:
    """One question with its pictures (as data addresses) and the answer; `failed` where there was none."""

    stage: str
    prompt: str
    said: str
    pictures: tuple[str, ...] = ()
    cached: bool = False
    failed: bool = False

    @property
    def weight(self) -> int:
        """About how many bytes it takes."""
        return len(self.prompt) + len(self.said) + sum(map(len, self.pictures))


def seen(exchange: Exchange) -> Seen:
    """A small copy; encodes its pictures, some milliseconds each."""
    side = _ALONE if len(exchange.pictures) == 1 else _AMONG_OTHERS
    shown = [encoded(picture, side) for picture in exchange.pictures[:_MOST_PICTURES]]
    return Seen(
        exchange.stage,
        exchange.prompt[:_MOST_WORDS],
        exchange.said[:_MOST_WORDS],
        tuple(f"data:{each.media_type};base64,{base64.b64encode(each.data).decode()}" for each in shown),
        exchange.reply.cached,
        isinstance(exchange.reply, Failed),
    )


def seen_html(exchanges: Sequence[Seen], left_out: int = 0) -> str:
    """Each exchange to be opened and looked at; the first one is open. `left_out` further ones were not kept."""
    if not exchanges:
        return '<p class="mmb-empty">The language model was asked nothing.</p>'
    told = "".join(_exchange(number, each) for number, each in enumerate(exchanges, start=1))
    more = f'<p class="mmb-cost">{left_out:,} further questions are not kept.</p>' if left_out else ""
    return told + more


def _exchange(number: int, exchange: Seen) -> str:
    kept = " (a kept reply)" if exchange.cached else ""
    pictures = "".join(
        f'<img src="{escape(address)}" alt="picture {place} that the model was shown" loading="lazy">'
        for place, address in enumerate(exchange.pictures, start=1)
    )
    many = " mmb-many" if len(exchange.pictures) > 1 else ""
    failed = " mmb-fallback" if exchange.failed else ""
    return (
        f'<details class="mmb-ask"{" open" if number == 1 else ""}><summary>{number}. {escape(exchange.stage)}: '
        f"{escape(_first_line(exchange.said))}{kept}</summary>"
        f'<div class="mmb-shown{many}">{pictures}</div>'
        f"<h5>It was asked</h5><pre tabindex=0>{escape(exchange.prompt)}</pre>"
        f'<h5>It answered</h5><pre tabindex=0 class="mmb-said{failed}">{escape(exchange.said)}</pre></details>'
    )


def _first_line(text: str, most: int = 90) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}…"
