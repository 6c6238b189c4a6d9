"""Export of a model with its vocabulary to ONNX or to torch.export, for use without this library."""

import copy
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.utils import Upsample
from torch import Tensor, nn

from hyperbolic_seg.models import HyperCLIPHead
from hyperbolic_seg.models.data_preprocessors import to_daylight
from hyperbolic_seg.models.refinement import apply_color_likelihood, guided_log_softmax
from hyperbolic_seg.models.segmentors import kinds

FORMATS = ('onnx', 'pt2')
_CLASSES = 'classes'  # name of the metadata


class ExportableSegmentor(nn.Module):
    """What is exported: RGB pictures in, probabilities of the classes out, at the same size.

    The preprocessing is inside, and the words of a vocabulary are constants: no text encoder is left.

    Args:
        model: A segmentor in evaluation mode; it is not changed.
        classes: Names of what it tells apart, in order.

    Raises:
        TypeError: The model is no :class:`mmseg.models.EncoderDecoder`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, classes: Sequence[str]) -> None:
        super().__init__()
        if not isinstance(model, EncoderDecoder):
            raise TypeError(f'expected an EncoderDecoder of MMSegmentation to export, got {type(model).__name__}')
        self.classes = tuple(classes)
        preprocessor = model.data_preprocessor
        self.swap = not preprocessor._channel_conversion  # without it the model wants BGR, as images are read
        self.divisor = getattr(preprocessor, 'size_divisor', None) or 1
        self.blueness = getattr(preprocessor, 'blueness', None)
        normalised = getattr(preprocessor, '_enable_normalize', False)
        for name, neutral in (('mean', 0.0), ('std', 1.0)):
            value = getattr(preprocessor, name) if normalised else torch.full((3, 1, 1), neutral)
            self.register_buffer(name, value.detach().clone().float().view(1, 3, 1, 1))
        self.backbone = _with_symbolic_sizes(model.backbone)
        self.neck = _with_symbolic_sizes(model.neck) if model.with_neck else nn.Identity()
        head = model.decode_head
        self.with_radius = isinstance(head, HyperCLIPHead)
        if self.with_radius:
            self.register_buffer('words', head.text_embeddings().detach().clone())
            head = copy.copy(head)
            head._modules = {k: v for k, v in head._modules.items() if k not in ('text', 'tuner', 'reduction')}
        self.head: Any = _with_symbolic_sizes(head)
        self.align_corners = head.align_corners
        options = model.test_cfg or {}
        self.guided, self.color_likelihood = (
            options.get(key) if self.with_radius else None for key in ('guided', 'color_likelihood')
        )
        tree = head.taxonomy if self.with_radius else None
        self.groups = kinds(head.vocabulary, tree and tree.root) if self.with_radius else None
        self.eval()

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of what :meth:`forward` returns."""
        return ('probabilities', 'radius') if self.with_radius else ('probabilities',)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Segment RGB pictures.

        Args:
            images: Values 0 to 255, float32, shape (N, 3, H, W), H and W multiples of :attr:`divisor`.

        Returns:
            Probabilities (N, K, H, W) and, of a :class:`HyperCLIPHead`, the hyperbolic radius (N, 1, H, W).
        """
        if self.blueness is not None:
            images = to_daylight(images, self.blueness)
        pictures = images.flip(1) if self.swap else images
        pictures = (pictures - self.mean) / self.std
        features = self.neck(self.backbone(pictures))
        if not self.with_radius:
            return (self._probabilities(self._enlarged(self.head(features), images)),)
        logits, radius = self.head.forward_with_radius(features, self.words)
        if self.guided is None:
            logits = self._enlarged(logits, images)
        else:
            logits = guided_log_softmax(logits, pictures, **self.guided)
        if self.color_likelihood is not None:
            logits = apply_color_likelihood(logits.log_softmax(1), images, groups=self.groups, **self.color_likelihood)
        return self._probabilities(logits), self._enlarged(radius, images)

    def _enlarged(self, maps: Tensor, images: Tensor) -> Tensor:
        return F.interpolate(maps, size=images.shape[2:], mode='bilinear', align_corners=self.align_corners)

    def _probabilities(self, logits: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            positive = logits.sigmoid()
            return torch.cat([1 - positive, positive], 1)
        return logits.softmax(1)


class _Enlarge(nn.Module):
    """Upsampling by a whole factor, whose sizes stay symbols when traced."""

    def __init__(self, upsample: Upsample) -> None:
        super().__init__()
        self.factor = int(upsample.scale_factor)
        self.mode, self.align_corners = upsample.mode, upsample.align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = [side * self.factor for side in x.shape[2:]]
        return F.interpolate(x, size=size, mode=self.mode, align_corners=self.align_corners)


def _with_symbolic_sizes(module: nn.Module) -> nn.Module:
    """Copy a module with MMSegmentation's Upsample, which makes Python integers of sizes, replaced."""
    module = copy.deepcopy(module)
    for parent in list(module.modules()):
        for name, child in parent.named_children():
            factor = getattr(child, 'scale_factor', None)
            if isinstance(child, Upsample) and isinstance(factor, float) and factor.is_integer():
                setattr(parent, name, _Enlarge(child))
    return module


def export_model(model: ExportableSegmentor, path: str | Path, *, file_format: str, size: tuple[int, int]) -> None:
    """Write a model whose batch, height and width are free.

    Args:
        model: The model.
        path: File to write; it appears only when it is complete.
        file_format: ``'onnx'``, for onnxruntime and others, or ``'pt2'``, for ``torch.export.load``.
        size: Height and width of the example that is traced, multiples of the model's divisor.

    Raises:
        ValueError: The format is unknown or the size is no multiple.
    """
    if file_format not in FORMATS:
        raise ValueError(f'format {file_format!r}: expected one of {FORMATS}')
    step = model.divisor
    if any(side % step or side < 2 * step for side in size):
        raise ValueError(f'size {size}: expected multiples of {step}, at least {2 * step}, as the encoder halves them')
    example = torch.rand(2, 3, *size, device=model.mean.device) * 255
    free: dict[int, Any] = {0: torch.export.Dim('batch', min=1, max=4096)}
    for place, name in ((2, 'height'), (3, 'width')):
        steps = torch.export.Dim(name, min=2, max=65536 // step)
        free[place] = steps * step if step > 1 else steps
    with torch.no_grad():
        program = torch.export.export(model, (example,), dynamic_shapes=(free,), strict=False)
    partial = Path(f'{path}.partial')
    try:
        if file_format == 'onnx':
            _save_onnx(program, model, partial)
        else:
            # torch.export.save wants its own suffix.
            with partial.open('wb') as file:
                torch.export.save(program, file, extra_files={f'{_CLASSES}.json': json.dumps(model.classes)})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _save_onnx(program: torch.export.ExportedProgram, model: ExportableSegmentor, path: Path) -> None:
    exported: Any = torch.onnx.export(
        program, dynamo=True, input_names=['images'], output_names=list(model.output_names), verbose=False
    )
    exported.model.metadata_props[_CLASSES] = json.dumps(model.classes, ensure_ascii=False)
    exported.save(str(path), external_data=False)


def run_exported(path: str | Path, images: np.ndarray, *, file_format: str) -> list[np.ndarray]:
    """Run an exported file on pictures (N, 3, H, W), as a user of it would."""
    if file_format == 'onnx':
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
        return session.run(None, {'images': images})
    with torch.no_grad(), Path(path).open('rb') as file:
        return [output.numpy() for output in torch.export.load(file).module()(torch.from_numpy(images))]


def largest_difference(
    model: ExportableSegmentor, path: str | Path, *, file_format: str, size: tuple[int, int], seed: int = 0
) -> tuple[float, float]:
    """Compare an exported file with its model on random pictures of two sizes and batches.

    Returns:
        The largest difference of a probability, and the share of pixels that get another label.
    """
    generator = np.random.default_rng(seed)
    height, width = size
    worst, other, pixels = 0.0, 0, 0
    for shape in ((1, 3, height, width), (3, 3, height + model.divisor, width + 2 * model.divisor)):
        images = generator.uniform(0, 255, shape).astype(np.float32)
        with torch.no_grad():
            expected = model(torch.from_numpy(images).to(model.mean.device))[0].cpu().numpy()
        got = run_exported(path, images, file_format=file_format)[0]
        worst = max(worst, float(np.abs(got - expected).max()))
        other += int((got.argmax(1) != expected.argmax(1)).sum())
        pixels += expected[:, 0].size
    return worst, other / pixels
