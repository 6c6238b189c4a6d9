"""HyperCLIPSegmentor: an encoder-decoder whose classes are words that can be changed."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from hyperbolic_seg.models.segmentors.guided_upsampling import guided_log_softmax
from hyperbolic_seg.text import Vocabulary


@MODELS.register_module()
class HyperCLIPSegmentor(EncoderDecoder):
    """An :class:`mmseg.models.EncoderDecoder` around a :class:`HyperCLIPHead`.

    Beside ``seg_logits`` and ``pred_sem_seg`` its data samples carry ``pred_radius``, the hyperbolic radius
    of every pixel (1, H, W), and ``classes``, ``palette`` and ``lineages`` (names with their ancestors) of
    the vocabulary that the prediction speaks of, which metric and visualiser follow.

    With ``test_cfg.guided``, options of :func:`guided_upsample`, the probabilities follow the edges of the picture
    when they are enlarged to its size; the logits are then their logarithms.
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
        features, guided = self.extract_feat(inputs), self.test_cfg.get('guided')
        if guided is None:
            return self.decode_head.predict_with_radius(features, batch_img_metas)
        logits, radius = self.decode_head.forward_with_radius(features)
        radius = F.interpolate(radius, size=inputs.shape[2:], mode='bilinear', align_corners=self.align_corners)
        return torch.cat([guided_log_softmax(logits, inputs, **guided), radius], 1)

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
                metas = [dict(meta, img_shape=crop.shape[2:]) for meta in batch_img_metas]
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


def _window_starts(length: int, crop: int, stride: int) -> list[int]:
    """Where windows of ``crop`` start so that they cover ``length``, the last one flush with the end."""
    steps = max(length - crop + stride - 1, 0) // stride + 1
    return [max(min(i * stride, length - crop), 0) for i in range(steps)]
