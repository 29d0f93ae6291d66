"""What some attention heads of the demo VLM are to look at, while it learns.

Left to itself, a model this small does not find out in hours how to look a named thing up in a picture: finding it
pays only once what is found is used, and the other way round. So a few heads are told for each mention of a thing
where it lies, and the rest is learned as ever. Deep supervision of attention is as in Liu et al., "Neural Machine
Translation with Supervised Attention" (COLING 2016).

- look, find: from a name to the tokens of the picture that show what it names, or to the start where nothing does; a
  change's new thing finds the place it comes to;
- tie: from the later of two words that belong together in a change to the earlier: what comes and what goes, or what
  comes and where;
- copy: from before a word that a change brings in, to that word in the change, or to the one tied to it; elsewhere to
  the start;
- read: from the mark behind a question about one thing to the name in the question;
- check: from the end of a phrase to the tokens of the picture that bear it out, or to the start where it does not hold;
- gather: from the mark behind a question to the ends of its phrases that do not hold, or to the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["look", "find", "tie", "copy", "read", "check", "gather"]
HEADS: Mapping[Kind, tuple[tuple[int, int], ...]] = {  # layer and head
    "look": ((0, 3), (1, 3)),
    "find": ((2, 3),),
    "tie": ((1, 4),),
    "copy": ((3, 3),),
    "read": ((2, 4), (3, 4)),
    "check": ((2, 4),),
    "gather": ((3, 4),),
}
NOWHERE = (0,)  # the start of a dialogue, where a head looks that finds nothing
_ELSEWHERE_WEIGHT = 0.2  # of a copy that takes nothing
_LEAST = 1e-15  # so small that a head that looks elsewhere by far is still told


@dataclass(frozen=True, slots=True)
class Hint:
    """From token `at` of a dialogue, heads of this kind look at the tokens `to`."""

    kind: Kind
    at: int
    to: tuple[int, ...]


def loss(attentions: Sequence[Tensor], hints: Sequence[Sequence[Hint]]) -> Tensor:
    """Mean over heads of the mean of -log of the attention (nats) that lies where it should; copies that take nothing
    count less in it.

    `attentions` holds (dialogues, heads, tokens, tokens) for every layer, `hints` those of every dialogue. Heads
    without a hint do not count.
    """
    found = []
    for kind, heads in HEADS.items():
        rows = [(row, hint) for row, own in enumerate(hints) for hint in own if hint.kind == kind]
        if not rows:
            continue
        wanted = torch.zeros(len(rows), attentions[0].shape[-1], device=attentions[0].device)
        for number, (_, hint) in enumerate(rows):
            wanted[number, list(hint.to)] = 1.0
        light = [_ELSEWHERE_WEIGHT if kind == "copy" and hint.to == NOWHERE else 1.0 for _, hint in rows]
        weights = torch.tensor(light, device=wanted.device)
        shown, at = [row for row, _ in rows], [hint.at for _, hint in rows]
        for layer, head in heads:
            right = (attentions[layer][shown, head, at] * wanted).sum(1)
            found.append(-((right + _LEAST).log() * weights).sum() / weights.sum())
    return torch.stack(found).mean()
