"""Export of a model with its vocabulary to ONNX or to torch.export, for use without this library."""

import copy
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.utils import Upsample
from mmseg.structures import SegDataSample
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperbolic_seg.models.refinement import chain
from hyperbolic_seg.models.refinement.levels import normalization

FORMATS = ('onnx', 'pt2')
_CLASSES = 'classes'  # Key of the metadata.
_PLAIN_OPTIONS = ('mode', 'crop_size', 'stride')  # Options of test_cfg that an EncoderDecoder reads.


class ExportableSegmentor(nn.Module):
    """The part of a segmentor that is exported: RGB images in, probabilities, labels and radius out, at the same size.

    Preprocessing and refinement are inside. The text embeddings of the vocabulary are constants; no text encoder, text
    bank or tuner is left.

    Args:
        model: A segmentor in evaluation mode; it is not changed. Its ``dataset_meta`` names the classes.

    Raises:
        TypeError: The model, its head, its data preprocessor or an option is of a kind that cannot be exported.
        ValueError: ``test_cfg`` asks for something that cannot be exported, or the classes have no names.
    """

    image_mean: Tensor
    image_std: Tensor
    words: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        segmentor = _checked(model)
        head, preprocessor = segmentor.decode_head, segmentor.data_preprocessor
        self.classes = _class_names(segmentor)
        self.bgr = not preprocessor._channel_conversion  # MMSegmentation reads images as blue, green, red.
        self.divisor = _divisor(preprocessor)
        self.adjust_colors: Any = getattr(preprocessor, 'adjust_colors', None)
        # Not 'mean': the ONNX optimizer gives folded constants the names of their operators, and would find it taken.
        for name, value in zip(('image_mean', 'image_std'), normalization(preprocessor, torch.zeros(())), strict=True):
            self.register_buffer(name, value.detach().clone())
        self.backbone = _with_symbolic_sizes(segmentor.backbone)
        self.neck = _with_symbolic_sizes(segmentor.neck) if segmentor.with_neck else nn.Identity()
        self.reads_text = hasattr(head, 'without_text')
        if self.reads_text:
            self.register_buffer('words', head.text_embeddings().detach().clone())
            head = head.without_text()
        self.head: Any = _with_symbolic_sizes(head)
        self.align_corners, self.threshold = head.align_corners, head.threshold
        self.refinement: chain.Refinement | None = getattr(segmentor, 'refinement', None)
        self.with_radius = self.refinement is not None and head.has_radius
        self.eval()

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the tensors that :meth:`forward` returns."""
        return ('probabilities', 'labels', 'radius') if self.with_radius else ('probabilities', 'labels')

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Segment RGB images.

        Args:
            images: Levels of 0 to 255, float32, (N, 3, H, W), H and W multiples of :attr:`divisor`.

        Returns:
            Probabilities (N, K, H, W), labels (N, H, W), int64, and the hyperbolic radius (N, 1, H, W) if the model
            predicts it.
        """
        if self.adjust_colors is not None:
            images = self.adjust_colors(images)
        inputs = ((images.flip(1) if self.bgr else images) - self.image_mean) / self.image_std
        features = self.neck(self.backbone(inputs))
        if self.reads_text:
            logits, radius = self.head.forward_with_radius(features, self.words)
        else:
            logits, radius = self.head(features), None
        if self.refinement is None:
            return self._as_mmsegmentation(chain.enlarge(logits, inputs, align_corners=self.align_corners))
        if not self.refinement.multilabel:
            logits = self.head.gather(logits)
        logits = chain.refine(logits, inputs, self.refinement, levels=inputs * self.image_std + self.image_mean)
        logits = chain.of_one_window(logits, self.refinement)
        if self.refinement.multilabel:
            logits = self.head.gather(logits)
        labels, _ = chain.decide([logits], self.refinement.background, dim=1)
        found = chain.class_probabilities(logits, 1), labels
        return (*found, chain.enlarge(radius, inputs, align_corners=self.align_corners)) if self.with_radius else found

    def _as_mmsegmentation(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and labels as an EncoderDecoder predicts them."""
        if logits.shape[1] == 1:
            probability = logits.sigmoid()
            return chain.class_probabilities(probability, 1), (probability[:, 0] > self.threshold).long()
        return chain.class_probabilities(logits, 1), chain.decide([logits], dim=1)[0]


def _checked(model: nn.Module) -> Any:
    """Return a segmentor whose predictions an exported file can repeat.

    Raises:
        TypeError: The model, its head or its data preprocessor works in a way of its own.
        ValueError: ``test_cfg`` asks for something else than whole images.
    """
    if not isinstance(model, EncoderDecoder):
        raise TypeError(f'expected an EncoderDecoder of MMSegmentation to export, got {type(model).__name__}')
    if not hasattr(model, 'refinement'):
        _check_methods(model, EncoderDecoder, ('extract_feat', 'encode_decode', 'predict', 'postprocess_result'))
    _check_methods(model.decode_head, BaseDecodeHead, ('predict', 'predict_by_feat'))
    preprocessor = model.data_preprocessor
    if not hasattr(preprocessor, 'adjust_colors'):
        _check_methods(preprocessor, SegDataPreProcessor, ('forward',))
    if size := (preprocessor.test_cfg or {}).get('size'):
        raise ValueError(
            f'data_preprocessor.test_cfg.size={size}: an exported file takes images of any size; leave it out, and '
            'give the file images of that size'
        )
    _check_test_cfg(model)
    return model


def _check_methods(part: Any, base: type, names: tuple[str, ...]) -> None:
    """Refuse a part that is no instance of a class, or that replaces one of these methods of it."""
    if not isinstance(part, base):
        raise TypeError(f'cannot export a {type(part).__name__}: expected a {base.__name__}')
    for name in names:
        if getattr(type(part), name) is not getattr(base, name):
            raise TypeError(
                f'cannot export a {type(part).__name__}: its {name} is not that of {base.__name__}, and the file would '
                'be another model'
            )


def _check_test_cfg(model: Any) -> None:
    options = dict(model.test_cfg or {})
    if hasattr(model, 'refinement'):
        if len(model.vocabulary) > model.class_chunk:
            raise ValueError(
                f'test_cfg.class_chunk={model.class_chunk} is smaller than the vocabulary of {len(model.vocabulary)} '
                f'concepts: an exported file predicts all at once; set class_chunk={len(model.vocabulary)}, or name '
                'fewer'
            )
    elif unknown := {name for name, value in options.items() if value is not None} - set(_PLAIN_OPTIONS):
        raise TypeError(
            f'test_cfg has {", ".join(sorted(map(str, unknown)))}: the options of an {type(model).__name__} are '
            f'{", ".join(_PLAIN_OPTIONS)}'
        )
    if (mode := options.get('mode', 'whole')) != 'whole':
        raise ValueError(f"test_cfg.mode={mode!r}: an exported file predicts whole images; set mode='whole'")
    for name in ('pamr', 'min_area'):
        if options.get(name):
            raise ValueError(
                f'test_cfg.{name}={options[name]}: an exported file labels images at the size it is given, without it; '
                'leave it out'
            )
    if (view := options.get('whole_view')) is not None:
        raise ValueError(f'test_cfg.whole_view={view}: an exported file predicts whole images once; leave it out')


def _class_names(model: Any) -> tuple[str, ...]:
    """Return the names of the classes, one for each probability."""
    names = (getattr(model, 'dataset_meta', None) or {}).get('classes')
    count = max(model.decode_head.out_channels, 2)  # One output tells two classes apart.
    if names is None or len(names) != count:
        given = 'none' if names is None else len(names)
        raise ValueError(f'the model tells {count} classes apart, dataset_meta names {given}: set its classes')
    return tuple(names)


def _divisor(preprocessor: Any) -> int:
    """Return the number that height and width have to be multiples of, so that nothing is padded."""
    sizes = (preprocessor.size_divisor, (preprocessor.test_cfg or {}).get('size_divisor'))
    return math.lcm(*(size or 1 for size in sizes))


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
    """Copy a module and replace MMSegmentation's Upsample in it, which turns sizes into constants of the trace."""
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
    _check_format(file_format)
    save_program(trace(model, size), model, path, file_format=file_format)


def trace(model: ExportableSegmentor, size: tuple[int, int]) -> torch.export.ExportedProgram:
    """Trace a model into a program whose batch, height and width are free.

    Args:
        model: The model.
        size: Height and width of the example that is traced, multiples of the model's divisor.

    Raises:
        ValueError: The size is no multiple.
    """
    step = model.divisor
    if any(side % step or side < 2 * step for side in size):
        raise ValueError(f'size {size}: expected multiples of {step}, at least {2 * step}, as the encoder halves them')
    example = torch.rand(2, 3, *size, device=model.image_mean.device) * 255
    free: dict[int, Any] = {0: torch.export.Dim('batch', min=1, max=4096)}
    for place, name in ((2, 'height'), (3, 'width')):
        steps = torch.export.Dim(name, min=2, max=65536 // step)
        free[place] = steps * step if step > 1 else steps
    with torch.no_grad():
        return torch.export.export(model, (example,), dynamic_shapes=(free,), strict=False)


def save_program(
    program: torch.export.ExportedProgram, model: ExportableSegmentor, path: str | Path, *, file_format: str
) -> None:
    """Write a traced model.

    Args:
        program: What :func:`trace` returned for the model.
        model: The model, for the names of its outputs and classes.
        path: File to write; it appears only when it is complete.
        file_format: ``'onnx'`` or ``'pt2'``.

    Raises:
        ValueError: The format is unknown.
    """
    _check_format(file_format)
    partial = Path(f'{path}.partial')
    try:
        if file_format == 'onnx':
            _save_onnx(program, model, partial)
        else:
            with partial.open('wb') as file:  # Given a path, torch.export.save insists on its own suffix.
                torch.export.save(program, file, extra_files={f'{_CLASSES}.json': json.dumps(model.classes)})
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _check_format(file_format: str) -> None:
    if file_format not in FORMATS:
        raise ValueError(f'format {file_format!r}: expected one of {FORMATS}')


def _save_onnx(program: torch.export.ExportedProgram, model: ExportableSegmentor, path: Path) -> None:
    exported: Any = torch.onnx.export(
        program, dynamo=True, input_names=['images'], output_names=list(model.output_names), verbose=False
    )
    exported.model.metadata_props[_CLASSES] = json.dumps(model.classes, ensure_ascii=False)
    exported.save(str(path), external_data=False)


def run_exported(path: str | Path, images: NDArray[np.float32], *, file_format: str) -> list[NDArray[Any]]:
    """Run an exported file on images (N, 3, H, W), as a user of it would."""
    if file_format == 'onnx':
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
        return session.run(None, {'images': images})
    with torch.no_grad(), Path(path).open('rb') as file:
        return [output.numpy() for output in torch.export.load(file).module()(torch.from_numpy(images))]


class Difference(NamedTuple):
    """Differences between an exported file and the segmentor."""

    probability: float
    """Largest difference of a probability."""
    labels: float
    """Share of pixels with another label."""
    radius: float
    """Largest difference of a radius r, divided by 1 + r; 0 without radii."""


def largest_difference(
    segmentor: Any, path: str | Path, *, file_format: str, size: tuple[int, int], seed: int = 0
) -> Difference:
    """Compare an exported file with the predictions of the segmentor on random images of two sizes and batches.

    The segmentor predicts through its own data preprocessor, as in a test: a step that the export forgot shows up.

    Args:
        segmentor: The segmentor that was exported, in evaluation mode.
        path: The file.
        file_format: ``'onnx'`` or ``'pt2'``.
        size: Height and width of the smaller images, multiples of the size divisor.
        seed: Seed of the random images.
    """
    step, generator = _divisor(segmentor.data_preprocessor), np.random.default_rng(seed)
    (height, width), radius_gap, gaps, other = size, 0.0, [], []
    for shape in ((1, height, width), (3, height + step, width + 2 * step)):
        images = generator.integers(0, 256, (shape[0], 3, *shape[1:]), np.uint8)
        probabilities, labels, *radius = run_exported(path, images.astype(np.float32), file_format=file_format)
        for i, sample in enumerate(_predicted(segmentor, images)):
            expected = chain.class_probabilities(sample.seg_logits.data.float()).cpu().numpy()
            gaps.append(np.abs(probabilities[i] - expected).max())
            other.append((labels[i] != sample.pred_sem_seg.data[0].cpu().numpy()).mean())
            if radius:
                expected = sample.pred_radius.data.cpu().numpy()
                radius_gap = max(radius_gap, float((np.abs(radius[0][i] - expected) / (1 + expected)).max()))
    return Difference(float(max(gaps)), float(np.mean(other)), radius_gap)


def _predicted(segmentor: Any, images: NDArray[np.uint8]) -> Iterator[SegDataSample]:
    """Predict RGB images (N, 3, H, W) as MMEngine's test loop does."""
    shape = images.shape[2:]
    metas = dict(img_shape=shape, ori_shape=shape, pad_shape=shape)
    inputs = [torch.from_numpy(image[::-1].copy()) for image in images]  # MMSegmentation reads blue, green, red.
    with torch.no_grad():
        samples = [SegDataSample(metainfo=metas) for _ in inputs]
        yield from segmentor.test_step(dict(inputs=inputs, data_samples=samples))
