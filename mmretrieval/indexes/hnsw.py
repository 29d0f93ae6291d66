"""A graph of neighbours (HNSW) over rows kept with eight bits per number, in FAISS.

The quickest answer there is to a single query over a collection that stands still; building takes ten times as long
as lists, about a millisecond per row, and a narrow filter is answered badly, so there exact search takes over early.

Yury Malkov and Dmitry Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
Small World graphs", IEEE TPAMI 2018.
"""

from __future__ import annotations

from typing import Any

from mmretrieval.indexes._coarse import Coarse

_LINKS = 32  # per row and level
_BUILD = 80  # nodes looked at to place a row


class Hnsw(Coarse):
    """A graph of neighbours over eight bits per number; 780 bytes for 512 numbers, slow to build."""

    narrow = 0.3

    def recipe(self, n: int, dim: int) -> str:  # noqa: ARG002 (it depends on neither)
        return f"HNSW{_LINKS},SQ8"

    @classmethod
    def bytes_per_row(cls, dim: int) -> float:
        return dim + 8 * _LINKS + 16

    def prepare_training(self, index: Any) -> None:
        index.hnsw.efConstruction = _BUILD

    def reaches(self) -> list[int]:
        """Nodes of the graph that are looked at."""
        return [32, 64, 128, 256, 512, 1024]

    def parameters(self, reach: int, selector: Any) -> Any:
        import faiss

        settings: Any = faiss.SearchParametersHNSW  # type: ignore[attr-defined]  # the stubs lack it
        return settings(efSearch=reach, sel=selector)
