"""Eight-bit towers: transformers with ranges taken anew in every run, convolutions with ranges measured beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Way = Literal["dynamic", "static"]

# A patch embedding is one convolution; a network that has more is made of them, and ONNX Runtime has no quick
# convolution for ranges that change from run to run.
_FEW_CONVOLUTIONS = 4
_AT_ONCE = 8


def quantise(tower: Path, pictures: NDArray[np.uint8] | None) -> Way:
    """Replace a tower's file by its eight-bit form; says which way was taken.

    `pictures` are prepared ones whose activations set the ranges of a convolutional network, None for a text tower.
    Weights have a range per output channel. The first convolution, which sees the raw picture, stays as it is:
    measured on the model that ships, that is more exact and quicker.
    """
    graph = onnx.load(tower, load_external_data=False).graph
    convolutions = [node.name for node in graph.node if node.op_type == "Conv"]
    eight = tower.with_suffix(".eight")
    if pictures is None or len(convolutions) < _FEW_CONVOLUTIONS:
        quantize_dynamic(
            tower, eight, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8
        )
        _one_item(eight)
        way: Way = "dynamic"
    else:
        quantize_static(
            tower,
            eight,
            _Reader(pictures),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=convolutions[:1],
        )
        way = "static"
    eight.replace(tower)
    return way


def _one_item(tower: Path) -> None:
    """Fix the number of items in a run at one: a third of the graph is only there to compute shapes from it."""
    model = onnx.load(tower)
    number = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param == number:
                side.dim_value = 1
    onnx.save(model, tower)


class _Reader(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    def __init__(self, pictures: NDArray[np.uint8]) -> None:
        self._parts: Iterator[dict[str, Any]] = (
            {"pixels": pictures[at : at + _AT_ONCE]} for at in range(0, len(pictures), _AT_ONCE)
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._parts, None)
