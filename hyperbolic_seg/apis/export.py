"""Export of a model with its vocabulary to ONNX or to torch.export, for use without this library."""

import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn
from torch.fx.experimental import _config

from hyperbolic_seg.apis.free_sizes import step_of_maps, with_symbolic_sizes
from hyperbolic_seg.files import write_whole
from hyperbolic_seg.models.refinement import chain
from hyperbolic_seg.models.refinement.levels import normalization

FORMATS = ('onnx', 'pt2')
ONNX_OPSET = 18
"""Operator set of ONNX files: the one that torch's exporter is written in, so that nothing is converted after it."""
_CLASSES, _DIVISOR = 'classes', 'divisor'  # Keys of the metadata.
_PLAIN_OPTIONS = ('mode', 'crop_size', 'stride')  # Options of test_cfg that an EncoderDecoder reads.
_OPTIONS = (
    *_PLAIN_OPTIONS, 'antialias', 'window_batch', 'class_chunk', 'shrink', 'guided', 'color_likelihood', 'background',
)  # fmt: skip
"""Options of a :class:`HyperCLIPSegmentor` that a file repeats, or that change no prediction of whole images."""


class ExportableSegmentor(nn.Module):
    """The part of a segmentor that is exported: RGB images in, probabilities, labels and radius out, at the same size.

    Preprocessing and refinement are inside. The text embeddings of the vocabulary are constants; no text encoder, text
    bank or tuner is left.

    Args:
        model: A segmentor in evaluation mode; it is not changed. Its ``dataset_meta`` names the classes.
        divisor: Number that height and width are multiples of. By default the ``size_divisor`` of the data
            preprocessor, and without one :func:`~hyperbolic_seg.apis.free_sizes.step_of_maps` of backbone and neck.

    Raises:
        TypeError: The model, its head, its data preprocessor or an option is of a kind that cannot be exported.
        ValueError: ``test_cfg`` or the backbone has something that cannot be exported, or the classes have no names.
    """

    image_mean: Tensor
    image_std: Tensor
    words: Tensor

    def __init__(self, model: nn.Module, *, divisor: int | None = None) -> None:
        super().__init__()
        segmentor = _checked(model)
        head, preprocessor = segmentor.decode_head, segmentor.data_preprocessor
        self.classes = _class_names(segmentor)
        self.bgr = not preprocessor._channel_conversion  # MMSegmentation reads images as blue, green, red.
        self.adjust_colors: Any = getattr(preprocessor, 'adjust_colors', None)
        # Not 'mean': the ONNX optimizer gives folded constants the names of their operators, and would find it taken.
        for name, value in zip(('image_mean', 'image_std'), normalization(preprocessor, torch.zeros(())), strict=True):
            self.register_buffer(name, value.detach().clone())
        shrink = 1 if not hasattr(segmentor, 'refinement') else (segmentor.test_cfg or {}).get('shrink') or 1
        self.shrink: nn.Module = nn.Identity() if shrink == 1 else nn.AvgPool2d(shrink)
        self.backbone = with_symbolic_sizes(segmentor.backbone)
        self.neck = with_symbolic_sizes(segmentor.neck) if segmentor.with_neck else nn.Identity()
        self.divisor = _divisor(preprocessor, (self.shrink, self.backbone, self.neck), divisor)
        self.pads = _declared_divisor(preprocessor) == self.divisor  # or images of other sizes pass as they are
        self.reads_text = hasattr(head, 'without_text')
        if self.reads_text:
            self.register_buffer('words', head.text_embeddings().detach().clone())
            head = head.without_text()
        self.head: Any = with_symbolic_sizes(head)
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
        inputs = self._normalized(images.flip(1) if self.bgr else images)
        features = self.features(inputs)
        if self.reads_text:
            logits, radius = self.head.forward_with_radius(features, self.words)
            if self.refinement is None or not self.head.gathers_last:
                logits = self.head.gather(logits)
        else:
            logits, radius = self.head(features), None
        if self.refinement is None:
            return self._as_mmsegmentation(chain.enlarge(logits, inputs, align_corners=self.align_corners))
        logits = chain.refine(logits, inputs, self.refinement, levels=inputs * self.image_std + self.image_mean)
        rows = chain.of_one_window(logits, self.refinement)
        logits = self.head.gather(rows) if self.head.gathers_last else rows
        owners = self.refinement.owners
        labels, _ = chain.decide([rows if owners else logits], self.refinement.background, dim=1, owners=owners)
        found = chain.class_probabilities(logits, 1), labels
        return (*found, chain.enlarge(radius, inputs, align_corners=self.align_corners)) if self.with_radius else found

    def features(self, inputs: Tensor) -> Any:
        """Return the feature maps of normalized images, in the plain order of memory."""
        return _plain_order(self.neck(self.backbone(self.shrink(inputs))))

    def _normalized(self, images: Tensor) -> Tensor:
        """Normalize images as steps of height and width, (N, 3, h, step, w, step).

        The shape is what makes an exported file refuse other sizes: its runtime cannot reshape them.

        Raises:
            ValueError: Height or width is no multiple of the step.
        """
        height, width = images.shape[2:]
        step = self.divisor
        if height % step or width % step:
            raise ValueError(f'images of {height} x {width}: expected multiples of {step}')
        steps = images.reshape(images.shape[0], 3, height // step, step, width // step, step)
        mean, std = (value.reshape(-1, 1, 1, 1, 1) for value in (self.image_mean, self.image_std))
        return ((steps - mean) / std).reshape(images.shape)

    def _as_mmsegmentation(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and labels as an EncoderDecoder predicts them."""
        if logits.shape[1] == 1:
            probability = logits.sigmoid()
            return chain.class_probabilities(probability, 1), (probability[:, 0] > self.threshold).long()
        return chain.class_probabilities(logits, 1), chain.decide([logits], dim=1)[0]


def _plain_order(features: Any) -> Any:
    """Return feature maps in the plain order of memory, for heads that call convolutions as functions."""
    if isinstance(features, Tensor):
        return features.contiguous()
    return type(features)(map(_plain_order, features)) if isinstance(features, (list, tuple)) else features


def _checked(model: nn.Module) -> Any:
    """Return a segmentor whose predictions an exported file can repeat.

    Raises:
        TypeError: The model, its head or its data preprocessor works in a way of its own.
        ValueError: ``test_cfg`` asks for something else than whole images, or the backbone takes one size alone once
            it is traced.
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
    _check_backbone(model.backbone)
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


def _check_backbone(backbone: Any) -> None:
    """Refuse positional embeddings that are resized by a scale, which a trace makes a constant of the traced size."""
    for option, name in (('positions', 'tower'), ('proxy.positions', 'proxy_tower')):
        options = getattr(getattr(backbone, name, None), 'options', None)
        if getattr(options, 'positions', None) == 'scale':
            raise ValueError(
                f"backbone.{option}='scale': an exported file would take images of the traced size alone; "
                f"backbone.{option}='size' can be exported, whose predictions differ"
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
    for name in sorted(set(options) - set(_OPTIONS)):
        if options[name] not in (None, 0):  # an empty dict stands for the defaults of an option
            raise ValueError(
                f'test_cfg.{name}={options[name]}: an exported file labels images at the size it is given, without it; '
                'leave it out'
            )


def _class_names(model: Any) -> tuple[str, ...]:
    """Return the names of the classes, one for each probability."""
    names = (getattr(model, 'dataset_meta', None) or {}).get('classes')
    count = max(model.decode_head.out_channels, 2)  # One output tells two classes apart.
    if names is None or len(names) != count:
        given = 'none' if names is None else len(names)
        raise ValueError(f'the model tells {count} classes apart, dataset_meta names {given}: set its classes')
    return tuple(names)


def _declared_divisor(preprocessor: Any) -> int:
    """Return the number that a data preprocessor pads height and width to multiples of, 1 if it pads nothing."""
    sizes = (preprocessor.size_divisor, (preprocessor.test_cfg or {}).get('size_divisor'))
    return math.lcm(*(size or 1 for size in sizes))


def _divisor(preprocessor: Any, parts: tuple[nn.Module, ...], given: int | None) -> int:
    """Return the number that height and width have to be multiples of, so that nothing is padded.

    Raises:
        ValueError: The number given is no multiple of the one declared, or none can be inferred.
    """
    declared = _declared_divisor(preprocessor)
    if given is None:
        return declared if declared > 1 else step_of_maps(*parts)
    if given < 1 or given % declared:
        raise ValueError(f'divisor {given}: expected a multiple of {declared}, which the data preprocessor pads to')
    return given


def export_model(
    model: ExportableSegmentor, path: str | Path, *, file_format: str, size: tuple[int, int], opset: int = ONNX_OPSET
) -> None:
    """Write a model whose batch, height and width are free.

    Args:
        model: The model.
        path: File to write; it appears only when it is complete.
        file_format: ``'onnx'``, for onnxruntime and others, or ``'pt2'``, for ``torch.export.load``.
        size: Height and width of the example that is traced, multiples of the model's divisor.
        opset: Operator set of an ONNX file.

    Raises:
        ValueError: The format is unknown, the size is no multiple, the model has parts that cannot be traced, or the
            exporter cannot write the operator set.
    """
    check_format(file_format)
    save_program(trace(model, size), model, path, file_format=file_format, opset=opset)


def trace(model: ExportableSegmentor, size: tuple[int, int]) -> torch.export.ExportedProgram:
    """Trace a model into a program whose batch, height and width are free.

    Args:
        model: The model.
        size: Height and width of the example that is traced, multiples of the model's divisor.

    Raises:
        ValueError: The size is no multiple, or the model has parts that cannot be traced with free sizes.
    """
    step = model.divisor
    if any(side % step or side < 2 * step for side in size):
        raise ValueError(f'size {size}: expected multiples of {step}, at least {2 * step}, as the encoder halves them')
    example = torch.rand(2, 3, *size, device=model.image_mean.device) * 255
    free: dict[int, Any] = {0: torch.export.Dim('batch', min=1, max=4096)}
    for place, name in ((2, 'height'), (3, 'width')):
        steps = torch.export.Dim(name, min=2, max=65536 // step)
        free[place] = steps * step if step > 1 else steps
    try:
        with torch.no_grad(), any_size():
            return torch.export.export(model, (example,), dynamic_shapes=(free,), strict=False)
    except Exception as error:  # anything that a model does with sizes which are symbols
        names = f'{type(model.head).__name__} on {type(model.backbone).__name__}'
        raise ValueError(
            f'{names} cannot be traced with free batch, height and width in steps of {step}: {error}'
        ) from error


def any_size() -> AbstractContextManager[Any]:
    """Return a context in which a trace does not tell sizes of 1 from others, as torch's exporter to ONNX has it.

    Without it the program keeps what was true of the example alone, and refuses a single image or window of attention.
    """
    known = hasattr(_config, 'backed_size_oblivious')  # since torch 2.6
    patch: Callable[..., AbstractContextManager[Any]] = getattr(_config, 'patch', nullcontext)
    return patch(backed_size_oblivious=True) if known else nullcontext()


def save_program(
    program: torch.export.ExportedProgram,
    model: ExportableSegmentor,
    path: str | Path,
    *,
    file_format: str,
    opset: int = ONNX_OPSET,
) -> None:
    """Write a traced model.

    Args:
        program: What :func:`trace` returned for the model.
        model: The model, for the names of its outputs and classes.
        path: File to write; it appears only when it is complete.
        file_format: ``'onnx'`` or ``'pt2'``.
        opset: Operator set of an ONNX file.

    Raises:
        ValueError: The format is unknown, or the exporter cannot write the operator set.
    """
    check_format(file_format)
    if file_format == 'onnx':
        content = onnx_bytes(program, ['images'], model.output_names, _metadata(model), opset=opset)
    else:
        content = _pt2_bytes(program, model)
    write_whole(path, content)


def check_format(file_format: str) -> None:
    """Check that a model can be exported to a format.

    Raises:
        ValueError: It cannot.
    """
    if file_format not in FORMATS:
        raise ValueError(f'format {file_format!r}: expected one of {FORMATS}')


def _metadata(model: ExportableSegmentor) -> dict[str, str]:
    """Return what a file says of itself, each value as JSON."""
    return {_CLASSES: json.dumps(model.classes, ensure_ascii=False), _DIVISOR: json.dumps(model.divisor)}


def onnx_bytes(
    program: torch.export.ExportedProgram,
    inputs: Sequence[str],
    outputs: Sequence[str],
    metadata: Mapping[str, str],
    *,
    opset: int = ONNX_OPSET,
) -> bytes:
    """Return the content of the ONNX file of a traced program.

    Args:
        program: The program.
        inputs: Names of its inputs.
        outputs: Names of its outputs.
        metadata: What the file says of itself.
        opset: Operator set.

    Raises:
        ValueError: The exporter cannot write the operator set.
    """
    names: dict[str, Any] = dict(input_names=list(inputs), output_names=list(outputs))
    exported: Any = torch.onnx.export(program, dynamo=True, opset_version=opset, verbose=False, **names)
    exported.model.metadata_props.update(metadata)
    proto = exported.model_proto
    written = next(one.version for one in proto.opset_import if one.domain == '')
    if written != opset:  # The exporter warns, and keeps its own version.
        raise ValueError(f"opset {opset}: torch's exporter to ONNX cannot convert this model to it from {written}")
    content: bytes = proto.SerializeToString()
    return content


def _pt2_bytes(program: torch.export.ExportedProgram, model: ExportableSegmentor) -> bytes:
    file = io.BytesIO()  # Given a path, torch.export.save insists on its own suffix.
    extra_files = {f'{name}.json': value for name, value in _metadata(model).items()}
    torch.export.save(program, file, extra_files=extra_files)
    return file.getvalue()
