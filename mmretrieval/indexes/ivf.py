"""Inverted lists whose rows are kept with eight bits per number, in FAISS.

The codes lose almost nothing, so that hardly more rows are proposed than asked for; scanning them is bound by memory
as exact search is. Worth it where pictures are sought by pictures, which need few lists.
"""

from __future__ import annotations

from mmretrieval.indexes._lists import Lists


class Ivf(Lists):
    """Eight bits per number in inverted lists; 520 bytes for 512 numbers."""

    def recipe(self, n: int, dim: int) -> str:  # noqa: ARG002 (FAISS knows the dimension)
        return f"IVF{self.lists(n)},SQ8"

    @classmethod
    def bytes_per_row(cls, dim: int) -> float:
        return dim + 12

    @classmethod
    def lists(cls, n: int) -> int:
        """Twice as many as for codes that are quick to scan."""
        return 2 * super().lists(n)
