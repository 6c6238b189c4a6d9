"""HyperCLIPSegmentor: an encoder-decoder whose classes are words that can be changed."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from hyperbolic_seg.models.segmentors.colour_evidence import weigh_colours
from hyperbolic_seg.models.segmentors.guided_upsampling import guided_log_softmax
from hyperbolic_seg.text import Vocabulary


@MODELS.register_module()
class HyperCLIPSegmentor(EncoderDecoder):
    """An :class:`mmseg.models.EncoderDecoder` around a :class:`HyperCLIPHead`.

    Beside ``seg_logits`` and ``pred_sem_seg`` its data samples carry ``pred_radius``, the hyperbolic radius
    of every pixel (1, H, W), and ``classes``, ``palette`` and ``lineages`` (names with their ancestors) of
    the vocabulary that the prediction speaks of, which metric and visualiser follow.

    With ``test_cfg.guided``, options of :func:`guided_upsample`, the probabilities follow the edges of the picture
    when they are enlarged to its size; the logits are then their logarithms. With ``test_cfg.colours``, options of
    :func:`weigh_colours`, they are weighed by what the colours of the picture say; this takes a picture in red, green
    and blue that the data preprocessor normalises, if at all, by ``mean`` and ``std``.
    """

    @property
    def vocabulary(self) -> Vocabulary:
        """What the model names now."""
        return self.decode_head.vocabulary

    def set_vocabulary(self, prompts: str | Sequence[str] | Vocabulary) -> None:
        """Name other things from now on, without training; see :meth:`HyperCLIPHead.set_vocabulary`."""
        self.decode_head.set_vocabulary(prompts)
        self.num_classes = self.out_channels = self.decode_head.num_classes
        self.dataset_meta = dict(classes=self.vocabulary.names, palette=self.vocabulary.palette)

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return logits and, as the last channel, the radius: (N, K + 1, H, W)."""
        features, guided, colours = self.extract_feat(inputs), *map(self.test_cfg.get, ('guided', 'colours'))
        logits, radius = self.decode_head.forward_with_radius(features)
        size = dict(size=inputs.shape[2:], mode='bilinear', align_corners=self.align_corners)
        logits = F.interpolate(logits, **size) if guided is None else guided_log_softmax(logits, inputs, **guided)
        if colours is not None:
            tree = self.decode_head.taxonomy
            groups, seen = kinds(self.vocabulary, tree and tree.root), _seen(inputs, batch_img_metas)
            logits = weigh_colours(logits.log_softmax(1), self._levels(inputs), groups=groups, seen=seen, **colours)
        return torch.cat([logits, F.interpolate(radius, **size)], 1)

    def _levels(self, inputs: Tensor) -> Tensor:
        """Undo the normalisation of pictures, (N, 3, H, W)."""
        preprocessor = self.data_preprocessor
        if not getattr(preprocessor, '_enable_normalize', False):
            return inputs
        return inputs * preprocessor.std.to(inputs) + preprocessor.mean.to(inputs)

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Average over overlapping windows, each added into its place: (N, K + 1, H, W)."""
        (stride_h, stride_w), (crop_h, crop_w) = self.test_cfg.stride, self.test_cfg.crop_size
        height, width = inputs.shape[2:]
        total = inputs.new_zeros((len(inputs), self.out_channels + 1, height, width))
        count = inputs.new_zeros((1, 1, height, width))
        for top in _window_starts(height, crop_h, stride_h):
            for left in _window_starts(width, crop_w, stride_w):
                window = (..., slice(top, top + crop_h), slice(left, left + crop_w))
                crop = inputs[window]
                metas = [dict(meta, img_shape=_rest(meta['img_shape'], top, left)) for meta in batch_img_metas]
                total[window] += self.encode_decode(crop, metas)
                count[window] += 1
        return total / count

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Bring logits and radius to the size of the image and pack them."""
        samples = super().postprocess_result(seg_logits, data_samples)
        for sample in samples:
            logits, radius = torch.split(sample.seg_logits.data, [self.out_channels, 1])
            sample.seg_logits = PixelData(data=logits)
            sample.pred_sem_seg = PixelData(data=logits.argmax(0, keepdim=True))
            sample.pred_radius = PixelData(data=radius)
            lineages = tuple(concept.lineage for concept in self.vocabulary)
            words = dict(classes=self.vocabulary.names, palette=self.vocabulary.palette, lineages=lineages)
            sample.set_metainfo(words)
        return samples


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
