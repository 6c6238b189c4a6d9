"""HyperCLIPSegmentor: an encoder-decoder whose classes are words that can be changed."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from hyperbolic_seg.models.refinement.color_likelihood import apply_color_likelihood
from hyperbolic_seg.models.refinement.guided_filter import guided_log_softmax
from hyperbolic_seg.models.segmentors.class_chunks import Window, predict_in_chunks
from hyperbolic_seg.models.segmentors.feature_cache import FeatureCache
from hyperbolic_seg.models.segmentors.inference_options import check_test_cfg
from hyperbolic_seg.text import Vocabulary

_CLASS_CHUNK = 64
_WINDOW_BATCH = 4


@MODELS.register_module()
class HyperCLIPSegmentor(EncoderDecoder):
    """An :class:`mmseg.models.EncoderDecoder` around a :class:`HyperCLIPHead`.

    Beside ``seg_logits`` and ``pred_sem_seg`` its data samples carry ``pred_radius``, the hyperbolic radius
    of every pixel (1, H, W), and ``classes``, ``palette`` and ``lineages`` (names with their ancestors) of
    the vocabulary that the prediction speaks of, which metric and visualiser follow.

    With ``test_cfg.guided``, options of :func:`guided_upsample`, the probabilities follow the edges of the picture
    when they are enlarged to its size; the logits are then their logarithms. With ``test_cfg.color_likelihood``,
    options of :func:`apply_color_likelihood`, they are weighed by the colors of the image; this takes an image in red,
    green and blue that the data preprocessor normalizes, if at all, by ``mean`` and ``std``.

    Vocabularies of more than ``test_cfg.class_chunk`` concepts, 64 by default, are predicted so many at a time, and the
    logits of all are never there at the size of a picture: data samples then carry ``pred_sem_seg``,
    ``pred_confidence``, which is the probability of the label (1, H, W), and ``pred_radius``, but no ``seg_logits``.

    With ``test_cfg.mode='slide'``, ``window_batch`` windows, 4 by default, pass the encoder together. With
    ``whole_view``, a size (height, width), the whole picture is also seen at that size, and counts as much as all
    windows together, as in CAT-Seg.

    With ``test_cfg.background``, the name of a concept and ``below``, a probability, as ``dict(name='background',
    below=0.4)``, pixels of whose label the model is less sure are of that concept.

    Where the loss takes every class by itself (``use_sigmoid=True``), windows are averaged as probabilities, and
    ``seg_logits`` are the logarithms of these.
    """

    feature_cache: FeatureCache | None = None
    """Set one to name other things in the same pictures without encoding them again; not for changing weights."""

    def __init__(self, *args: Any, test_cfg: dict | None = None, **kwargs: Any) -> None:
        check_test_cfg(test_cfg or {})
        super().__init__(*args, test_cfg=test_cfg, **kwargs)
        if self.decode_head.multilabel and (misfits := {'guided', 'color_likelihood'} & set(test_cfg or {})):
            raise ValueError(
                f'test_cfg.{min(misfits)} is for probabilities of one class among all: leave it out, or use_sigmoid of '
                'the loss'
            )

    @property
    def vocabulary(self) -> Vocabulary:
        """What the model names now."""
        return self.decode_head.vocabulary

    def set_vocabulary(self, prompts: str | Sequence[str] | Vocabulary) -> None:
        """Name other things from now on, without training; see :meth:`HyperCLIPHead.set_vocabulary`."""
        self.decode_head.set_vocabulary(prompts)
        self.num_classes = self.out_channels = self.decode_head.num_classes
        self.dataset_meta = dict(classes=self.vocabulary.names, palette=self.vocabulary.palette)

    def extract_feat(self, inputs: Tensor) -> Any:
        """Return the features of pictures, (N, 3, H, W), from :attr:`feature_cache` where they are known."""
        if self.feature_cache is None or torch.is_grad_enabled():
            return super().extract_feat(inputs)
        return self.feature_cache(super().extract_feat, inputs)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return logits and, as the last channel, the radius: (N, K + 1, H, W)."""
        logits, radius = self.decode_head.forward_with_radius(self.extract_feat(inputs))
        guided, color_likelihood = map(self.test_cfg.get, ('guided', 'color_likelihood'))
        logits = self.enlarge(logits, inputs) if guided is None else guided_log_softmax(logits, inputs, **guided)
        if color_likelihood is not None:
            logits = self.apply_color_likelihood(logits.log_softmax(1), inputs, batch_img_metas, self.groups)
        return torch.cat([self.to_average(logits), self.enlarge(radius, inputs)], 1)

    def to_average(self, logits: Tensor) -> Tensor:
        """Return what of some logits is averaged over windows: themselves, or probabilities of classes one by one."""
        return logits.sigmoid() if self.decode_head.multilabel else logits

    def averaged(self, logits: Tensor) -> Tensor:
        """Return logits of what was averaged."""
        return logits.clamp_min(torch.finfo(logits.dtype).tiny).log() if self.decode_head.multilabel else logits

    @property
    def groups(self) -> list[int]:
        """The kind of every concept, from 0 on; colours tell these apart."""
        tree = self.decode_head.taxonomy
        return kinds(self.vocabulary, tree and tree.root)

    def apply_color_likelihood(
        self, log_probs: Tensor, inputs: Tensor, metas: list[dict], groups: Sequence[int]
    ) -> Tensor:
        """Weigh probabilities by the colours of normalised pictures, as ``test_cfg.color_likelihood`` says.

        Args:
            log_probs: (N, K, H, W).
            inputs: (N, 3, H, W).
            metas: Of the pictures.
            groups: See :func:`apply_color_likelihood`.
        """
        options = self.test_cfg.color_likelihood
        return apply_color_likelihood(
            log_probs, self._levels(inputs), groups=groups, seen=_seen(inputs, metas), **options
        )

    def enlarge(self, maps: Tensor, inputs: Tensor) -> Tensor:
        """Bring maps (N, C, h, w) to the size of pictures."""
        return F.interpolate(maps, size=inputs.shape[2:], mode='bilinear', align_corners=self.align_corners)

    def _levels(self, inputs: Tensor) -> Tensor:
        """Undo the normalisation of pictures, (N, 3, H, W)."""
        preprocessor = self.data_preprocessor
        if not getattr(preprocessor, '_enable_normalize', False):
            return inputs
        return inputs * preprocessor.std.to(inputs) + preprocessor.mean.to(inputs)

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Average over overlapping windows, each added into its place: (N, K + 1, H, W)."""
        windows = self.windows(inputs, batch_img_metas)
        total = inputs.new_zeros((len(inputs), self.out_channels + 1, *inputs.shape[2:]))
        weight = self.weights(windows, inputs)
        batch = self.test_cfg.get('window_batch', _WINDOW_BATCH)
        for start in range(0, len(windows), batch):
            some = windows[start : start + batch]
            crops = torch.cat([window.crop for window in some])
            found = self.encode_decode(crops, [meta for window in some for meta in window.metas])
            for window, part in zip(some, found.split(len(inputs)), strict=True):
                total[window.place] += part * weight[window.place]
        if view := self.whole_view(inputs, batch_img_metas):
            total = (total + self.enlarge(self.encode_decode(view.crop, view.metas), inputs)) / 2
        return total

    def weights(self, windows: list[Window], inputs: Tensor) -> Tensor:
        """Return what every window counts at its places, (1, 1, H, W)."""
        count = inputs.new_zeros((1, 1, *inputs.shape[2:]))
        for window in windows:
            count[window.place] += 1
        return 1 / count

    def whole_view(self, inputs: Tensor, metas: list[dict]) -> Window | None:
        """Return whole pictures at the size of ``test_cfg.whole_view``, if they are to be seen beside windows."""
        size = self.test_cfg.get('whole_view') if self.test_cfg.get('mode') == 'slide' else None
        if size is None:
            return None
        shrunk = F.interpolate(inputs, size=tuple(size), mode='bilinear', align_corners=False, antialias=True)
        scale = [new / old for new, old in zip(size, inputs.shape[2:], strict=True)]
        seen = [tuple(round(length * s) for length, s in zip(m['img_shape'], scale, strict=False)) for m in metas]
        return Window((...,), shrunk, [dict(meta, img_shape=shape) for meta, shape in zip(metas, seen, strict=True)])

    def windows(self, inputs: Tensor, metas: list[dict]) -> list[Window]:
        """Return the windows of sliding inference, or the whole pictures as one."""
        if self.test_cfg.get('mode', 'whole') == 'whole':
            return [Window((...,), inputs, metas)]
        size, crop, stride = inputs.shape[2:], self.test_cfg.crop_size, self.test_cfg.stride
        tops, lefts = (_window_starts(*axis) for axis in zip(size, crop, stride, strict=True))
        found = []
        for top, left in itertools.product(tops, lefts):
            place = (..., slice(top, top + crop[0]), slice(left, left + crop[1]))
            moved = [dict(meta, img_shape=_rest(meta['img_shape'], top, left)) for meta in metas]
            found.append(Window(place, inputs[place], moved))
        return found

    def predict(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Predict pictures, (N, 3, H, W); see the class for what the samples carry."""
        chunk = self.test_cfg.get('class_chunk', _CLASS_CHUNK)
        if len(self.vocabulary) <= chunk:
            return super().predict(inputs, data_samples)
        samples = [SegDataSample(metainfo=_meta(inputs)) for _ in inputs] if data_samples is None else data_samples
        for picture, sample in zip(inputs.split(1), samples, strict=True):
            predict_in_chunks(self, picture, sample, chunk)
            sample.set_metainfo(self._words())
        return samples

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Bring logits and radius to the size of the image and pack them."""
        samples = super().postprocess_result(seg_logits, data_samples)
        for sample in samples:
            averaged, radius = sample.seg_logits.data[:-1], sample.seg_logits.data[-1:]
            logits = self.averaged(averaged)
            sample.seg_logits = PixelData(data=logits)
            labels = logits.argmax(0, keepdim=True)
            if self.test_cfg.get('background'):
                labels = self.with_background(labels, logits.softmax(0).amax(0, keepdim=True))
            sample.pred_sem_seg = PixelData(data=labels)
            sample.pred_radius = PixelData(data=radius)
            sample.set_metainfo(self._words())
        return samples

    def with_background(self, labels: Tensor, confidence: Tensor) -> Tensor:
        """Return labels, those of pixels that the model is not sure of as ``test_cfg.background`` says."""
        options = self.test_cfg.background
        return labels.masked_fill(confidence < options['below'], self.vocabulary.index_of(options['name']))

    def _words(self) -> dict:
        lineages = tuple(concept.lineage for concept in self.vocabulary)
        return dict(classes=self.vocabulary.names, palette=self.vocabulary.palette, lineages=lineages)


def kinds(vocabulary: Vocabulary, root: str | None = None) -> list[int]:
    """Return the kind of every concept, from 0 on: its topmost ancestor, or itself if it has none.

    Args:
        vocabulary: The concepts.
        root: The ancestor that all of a taxonomy have, which makes no kind; by default the one that all concepts have,
            if there is one.
    """
    lineages = [concept.lineage for concept in vocabulary]
    if root is None and len({lineage[-1] for lineage in lineages}) == 1:
        root = lineages[0][-1]
    tops = [lineage[-2] if len(lineage) > 1 and lineage[-1] == root else lineage[-1] for lineage in lineages]
    return [list(dict.fromkeys(tops)).index(top) for top in tops]


def _window_starts(length: int, crop: int, stride: int) -> list[int]:
    """Where windows of ``crop`` start so that they cover ``length``, the last one flush with the end."""
    steps = max(length - crop + stride - 1, 0) // stride + 1
    return [max(min(i * stride, length - crop), 0) for i in range(steps)]


def _meta(inputs: Tensor) -> dict:
    """Return what is known of pictures of which nothing is told."""
    size = tuple(inputs.shape[2:])
    return dict(ori_shape=size, img_shape=size, pad_shape=size, padding_size=[0] * 4)


def _rest(shape: Sequence[int], top: int, left: int) -> tuple[int, int]:
    """Return the size of what is left of a picture below and to the right of a place."""
    return max(shape[0] - top, 0), max(shape[1] - left, 0)


def _seen(inputs: Tensor, metas: list[dict]) -> Tensor:
    """Return which pixels are of the pictures and no padding, (N, 1, H, W)."""
    seen = inputs.new_zeros((len(inputs), 1, *inputs.shape[2:]), dtype=torch.bool)
    for mask, meta in zip(seen, metas, strict=True):
        height, width = meta['img_shape'][:2]
        mask[:, :height, :width] = True
    return seen
