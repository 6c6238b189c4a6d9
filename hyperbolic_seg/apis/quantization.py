"""Smaller exported ONNX files: convolutions in 8 bits, or weights in half precision."""

import ast
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.files import write_whole

__all__ = ['halve_onnx', 'quantize_onnx', 'quantized_nodes']

OPERATORS = ('Conv', 'Clip', 'Relu', 'Add', 'Concat', 'MaxPool')
"""Operators that are quantized: convolutions, and those between them that have no weights, so that the tensors from one
convolution to the next stay in 8 bits."""
PARTS = ('backbone', 'neck')
"""Parts of the model that are quantized. Logits, distances and refinement stay in float32: they are logarithms and
exponentials, which eight bits do not resolve, and take a small part of the operations."""


def quantized_nodes(model: Any) -> list[str]:
    """Return the names of the nodes of an exported ONNX model that :func:`quantize_onnx` quantizes.

    Args:
        model: An ``onnx.ModelProto`` of :func:`~hyperbolic_seg.apis.export_model`, whose nodes name their modules.

    Raises:
        ValueError: No convolution is in the parts that are quantized.
    """
    nodes = [node for node in model.graph.node if node.op_type in OPERATORS and _part(node) in PARTS]
    if not any(node.op_type == 'Conv' for node in nodes):
        raise ValueError(
            f'the file has no convolution that says it is in the {" or ".join(PARTS)}: expected a file of '
            'tools/export.py with a convolutional backbone'
        )
    return [node.name for node in nodes]


def _part(node: Any) -> str:
    """Return the name of the part of the model that a node was traced in, such as 'backbone'."""
    scopes = next((one.value for one in node.metadata_props if one.key == 'pkg.torch.onnx.name_scopes'), '[]')
    names: list[str] = ast.literal_eval(scopes)
    return names[1] if len(names) > 1 else ''


class _Reader:
    """Calibration images, one for each run, as onnxruntime asks for them."""

    def __init__(self, images: Iterable[NDArray[np.float32]]) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._images, None)
        return None if image is None else {'images': image[None]}


def quantize_onnx(path: str | Path, out: str | Path, images: Iterable[NDArray[np.float32]]) -> None:
    """Quantize the backbone and neck of an exported ONNX file to 8 bits, by the ranges that calibration images have.

    Weights have a scale for each channel and 7 bits, since products of 8 bits overflow on processors without VNNI.

    Args:
        path: File of :func:`~hyperbolic_seg.apis.export_model`.
        out: File to write, with pairs of QuantizeLinear and DequantizeLinear; it appears only when it is complete.
        images: Calibration images (3, H, W), RGB levels of 0 to 255, such as those that the model will see.

    Raises:
        ValueError: There is no image, or nothing in the file can be quantized.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    CalibrationDataReader.register(_Reader)
    model = onnx.load(path)
    nodes = quantized_nodes(model)
    images = list(images)
    if not images:
        raise ValueError('no calibration images')
    with TemporaryDirectory() as folder:
        written = Path(folder) / 'quantized.onnx'
        quantize_static(
            model,
            written,
            _Reader(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(OPERATORS),
            nodes_to_quantize=nodes,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        write_whole(out, written.read_bytes())


def halve_onnx(path: str | Path, out: str | Path) -> None:
    """Store the weights of the convolutions of backbone and neck in half precision; what is computed stays in float32.

    A runtime turns them back into float32 when it opens the file, so this saves room on the disk and no time.

    Args:
        path: File of :func:`~hyperbolic_seg.apis.export_model` or :func:`~hyperbolic_seg.apis.export_promptable`.
        out: File to write; it appears only when it is complete.

    Raises:
        ValueError: No convolution is in these parts, none has weights in float32, or a weight is too large for half
            precision.
    """
    import onnx

    model = onnx.load(path)
    chosen = set(quantized_nodes(model))
    convolutions = [node for node in model.graph.node if node.op_type == 'Conv' and node.name in chosen]
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    casts = []
    for name in dict.fromkeys(node.input[1] for node in convolutions):
        if name not in stored or stored[name].data_type != onnx.TensorProto.FLOAT:
            continue
        weight = onnx.numpy_helper.to_array(stored[name])
        if not (largest := np.abs(weight).max()) <= (most := np.finfo(np.float16).max):
            raise ValueError(f'{name} has weights up to {largest:g}, half precision none above {most:g}')
        stored[name].CopyFrom(onnx.numpy_helper.from_array(weight.astype(np.float16), f'{name}.half'))
        casts.append(
            onnx.helper.make_node('Cast', [f'{name}.half'], [name], f'{name}.float', to=onnx.TensorProto.FLOAT)
        )
    if not casts:
        raise ValueError('no convolution of backbone or neck has weights in float32: was the file made smaller before?')
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    write_whole(out, model.SerializeToString())
