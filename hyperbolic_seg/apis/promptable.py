"""Export of a model whose prompts are chosen when its file runs, among the words of its taxonomy, to ONNX."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hyperbolic_seg.apis.export import ExportableSegmentor, any_size, onnx_bytes
from hyperbolic_seg.apis.inferencer import HyperSegInferencer
from hyperbolic_seg.apis.known_words import KnownWords
from hyperbolic_seg.apis.onnx_inferencer import FILE_FORMAT, INPUTS, RESIZING
from hyperbolic_seg.datasets import LoadVerifiedImage
from hyperbolic_seg.files import write_whole
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.models.refinement import chain
from hyperbolic_seg.text import normalize_phrases

__all__ = ['PromptableSegmentor', 'export_promptable', 'metadata_of', 'words_of']

_NEVER = -1e30
"""Logit of a word that is none of a concept's; finite, since runtimes make NaN of the infinite one."""
_MOST = 4096
_STEPS = 3  # of height and of width in the traced example, which all sizes above are like


class PromptableSegmentor(ExportableSegmentor):
    """The part of a segmentor that is exported where prompts are inputs: RGB images and words in, maps out.

    The embeddings of all words that can be asked for are constants.

    Args:
        model: A segmentor in evaluation mode; it is not changed.
        table: Tuned embeddings of the words, (V, D).

    Raises:
        TypeError: The model is none that :class:`ExportableSegmentor` takes, or no :class:`HyperCLIPSegmentor`.
        ValueError: An option of it is not one of a promptable file.
    """

    table: Tensor

    def __init__(self, model: nn.Module, table: Tensor) -> None:
        super().__init__(model)
        if not isinstance(model, HyperCLIPSegmentor):
            raise TypeError(f'a {type(model).__name__} has fixed classes: expected a HyperCLIPSegmentor')
        refinement = model.refinement
        named = dict(
            {'loss.use_sigmoid': refinement.multilabel, "queries='phrase'": bool(refinement.owners)},
            background=refinement.background is not None,
            align_corners=self.align_corners,
        )
        named['a data preprocessor without size_divisor'] = not self.pads
        if unfit := [name for name, given in named.items() if given]:
            raise ValueError(f'{", ".join(unfit)} is not for promptable files: tools/export.py exports one vocabulary')
        self._refinement = refinement
        colors = model.test_cfg.get('color_likelihood') or {}
        #: Names of the nodes of many colors
        self.varied = tuple(colors.get('varied', ()))
        self.register_buffer('table', table)
        scores = getattr(self.head, 'attribute_scores', None)
        #: Number of values of attributes that the model tells
        self.values = 0 if scores is None else len(scores.values)
        del self.words

    @property
    def output_names(self) -> tuple[str, ...]:
        """Name of the tensor that :meth:`forward` returns."""
        return ('maps',)

    def forward(  # type: ignore[override]  # the same part of a segmentor, with more inputs
        self,
        images: Tensor,
        words: Tensor,
        concepts: Tensor,
        kinds: Tensor,
        asked: Tensor,
        inside: Tensor,
        varied: Tensor | None = None,
    ) -> Tensor:
        """Return refined logits of prompts and the radius, at the size of the canvas.

        Args:
            images: Levels of 0 to 255, float32, (N, 3, h, w).
            words: Rows of the table, (W,), int64.
            concepts: True where a word belongs to a prompt, (K, W).
            kinds: True where a prompt is of a kind, (G, K), with G of at least 2; a kind may be without prompts.
            asked: For each word the logarithm of its share, and 1 for each value of an attribute that may be, 0 for
                others, (W, 1 + V).
            inside: The canvas: True on the image in its upper left corner, and not on the padding, (N, 1, H, W), with
                H and W multiples of :attr:`divisor`.
            varied: True for each kind of many colors, (G,), if :attr:`varied` names some nodes.

        Returns:
            (N, K + 1, H, W); the last map is the radius.
        """
        if self.adjust_colors is not None:
            images = self.adjust_colors(images)
        inputs = self._on_canvas(images.flip(1) if self.bgr else images, inside)
        features = self.features(inputs)
        logits, radius = self.head.forward_with_radius(features, self.table.index_select(0, words))
        logits = self._with_attributes(logits + asked[:, :1, None], features, asked[:, 1:] > 0)
        fine = chain.enlarge_logits(_together(logits, concepts), inputs, self._refinement)
        if self._refinement.normalizes:
            levels = inputs * self.image_std + self.image_mean
            of_kinds = _together(fine, kinds)
            shift = chain.kind_shift(of_kinds, self._refinement, levels=levels, inside=inside, varied=varied)
            fine = fine + shift.index_select(1, kinds.int().argmax(0))
        return torch.cat([fine, chain.enlarge(radius, inputs)], 1)

    def _with_attributes(self, logits: Tensor, features: Any, asked: Tensor) -> Tensor:
        """Add the logarithms of the probabilities of the values that words ask for."""
        scores = getattr(self.head, 'attribute_scores', None)
        if scores is None:
            return logits
        sizes = [len(values) for values in scores.attributes.values()]
        log_p = self.head.attribute_log_probabilities(features)
        for part, some in zip(log_p.split(sizes, 1), asked.split(sizes, 1), strict=True):
            logits = logits + _together(part, some)
        return logits

    def _on_canvas(self, images: Tensor, inside: Tensor) -> Tensor:
        """Normalize images and pad them with zeros to the canvas, (N, 3, H, W).

        Rows and columns are counted in the canvas, so that a trace meets no difference of two free sizes.
        """
        normalized = (images - self.image_mean) / self.image_std
        rows, columns = (line.long().cumsum(0) - 1 for line in (inside[0, 0, :, 0], inside[0, 0, 0]))
        return normalized.index_select(2, rows).index_select(3, columns) * inside.to(normalized)


def _together(logits: Tensor, members: Tensor) -> Tensor:
    """Return the logarithms of summed exponentials of members, (N, M, H, W), for logits (N, W, H, W).

    Args:
        logits: (N, W, H, W).
        members: True where a logit counts, (M, W).
    """
    return torch.where(members[None, :, :, None, None], logits[:, None].float(), _NEVER).logsumexp(2)


def words_of(inferencer: HyperSegInferencer) -> tuple[KnownWords, Tensor]:
    """Return the words that a file of a model knows, and their tuned embeddings, (V, D).

    They are the vocabulary of the training and the nodes of the taxonomy.

    Raises:
        TypeError: The model has fixed classes.
        ValueError: It keeps the embeddings of prompt templates apart.
    """
    if not isinstance(inferencer.model, HyperCLIPSegmentor):
        raise TypeError(f'a {type(inferencer.model).__name__} has fixed classes: expected a HyperCLIPSegmentor')
    inferencer.set_prompts(None)
    head = inferencer.model.decode_head
    trained, tree = head.vocabulary, head.taxonomy
    found: dict[tuple[str, ...], Tensor] = {}
    for vocabulary in (trained, *(() if tree is None else (tree.nodes,))):
        inferencer.set_prompts(vocabulary)  # all nodes of a tree are words, each by itself
        with torch.no_grad():
            embeddings = head.text_embeddings()
            found |= {
                normalize_phrases(word.phrases): row for word, row in zip(head.text.vocabulary, embeddings, strict=True)
            }
    inferencer.set_prompts(None)
    table = torch.stack(list(found.values()))
    if table.ndim != 2:
        raise ValueError('by_template=True of the head is not for promptable files: tools/export.py exports it')
    known = KnownWords(trained, list(found), taxonomy=tree, later=head.later_words, attributes=head.attributes)
    return known, table


def export_promptable(inferencer: HyperSegInferencer, path: str | Path, *, license: str | None = None) -> None:
    """Write the ONNX file of a model for :class:`~hyperbolic_seg.apis.OnnxInferencer`.

    Args:
        inferencer: The model. Its prompts go back to the vocabulary of the training.
        path: File to write; it appears only when it is complete.
        license: License of the weights, which the file then carries.

    Raises:
        TypeError: A part of the model cannot be exported.
        ValueError: An option of the model cannot be exported, or its test pipeline does something else than resize.
    """
    known, table = words_of(inferencer)
    model = PromptableSegmentor(inferencer.model, table)
    about = metadata_of(inferencer, known, model)
    if license is not None:
        about['license'] = license
    names = INPUTS if model.varied else INPUTS[:-1]
    write_whole(path, onnx_bytes(_traced(model), names, model.output_names, about))


def metadata_of(inferencer: HyperSegInferencer, known: KnownWords, model: PromptableSegmentor) -> dict[str, str]:
    """Return what a file says of itself.

    Raises:
        ValueError: The test pipeline does something else than resize.
    """
    size, backend = _resizing_of(inferencer)
    return dict(
        promptable=FILE_FORMAT,
        vocabulary=known.to_json(),
        size=json.dumps(size),
        resizing=backend,
        divisor=json.dumps(model.divisor),
        identity=json.dumps(inferencer.identity),
        varied=json.dumps(model.varied),
    )


def _traced(model: PromptableSegmentor) -> torch.export.ExportedProgram:
    """Trace a model with free sizes of everything.

    Raises:
        ValueError: It has parts that cannot be traced.
    """
    step, dim = model.divisor, torch.export.Dim
    side = _STEPS * step
    inside = torch.zeros(2, 1, side, side + step, dtype=torch.bool)
    inside[:, :, : side - 1, : side - 2] = True
    example = (
        torch.rand(2, 3, side - 1, side - 2) * 255,
        torch.arange(5) % len(model.table),
        torch.tensor([0, 1, 2, 3, 3]) == torch.arange(4)[:, None],
        torch.tensor([0, 1, 2, 2]) == torch.arange(3)[:, None],
        torch.ones(5, 1 + model.values),
        inside,
        *([torch.tensor([False, True, False])] if model.varied else []),
    )
    batch, words = (dim(name, min=1, max=_MOST) for name in ('batch', 'words'))
    prompts, kinds = (dim(name, min=2, max=_MOST) for name in ('prompts', 'kinds'))
    height, width = (dim(name, min=1, max=2**16) for name in ('height', 'width'))
    steps: list[Any] = [dim(name, min=2, max=2**16 // step) for name in ('rows', 'columns')]
    rows, columns = (one * step if step > 1 else one for one in steps)
    sizes = ({0: batch, 2: height, 3: width}, {0: words}, {0: prompts, 1: words}, {0: kinds, 1: prompts}, {0: words})
    try:
        with torch.no_grad(), any_size():
            shapes = (*sizes, {0: batch, 2: rows, 3: columns}, {0: kinds})[: len(example)]
            return torch.export.export(model, example, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # anything that a model does with sizes which are symbols
        names = f'{type(model.head).__name__} on {type(model.backbone).__name__}'
        raise ValueError(f'{names} cannot be traced with free sizes: {error}') from error


def _resizing_of(inferencer: HyperSegInferencer) -> tuple[tuple[int, int], str]:
    """Return the size within which images are resized, and what resizes them: ``'cv2'`` or ``'pillow'``.

    Raises:
        ValueError: The test pipeline is not one of :class:`LoadVerifiedImage`, ``Resize`` and ``PackSegInputs``.
    """
    steps: list[Any] = [step for step in inferencer.pipeline.transforms if hasattr(step, 'transform')]
    names = [type(step).__name__ for step in steps]
    if names != [LoadVerifiedImage.__name__, 'Resize', 'PackSegInputs']:
        raise ValueError(
            f'the test pipeline is {", ".join(names)}: expected LoadVerifiedImage, Resize, PackSegInputs, which the '
            'runtime of the file repeats'
        )
    resize = steps[1]
    plain = resize.keep_ratio and resize.scale is not None and resize.interpolation == 'bilinear'
    if not plain or resize.backend not in RESIZING:
        raise ValueError(
            f'{resize} in the test pipeline: expected a scale, keep_ratio=True, bilinear interpolation and one of the '
            f'backends {", ".join(RESIZING)}, which the runtime of the file repeats'
        )
    return tuple(resize.scale), resize.backend
