"""HyperCLIPTTAModel: test-time augmentation for classes that are words."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseTTAModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from hyperbolic_seg.models.segmentors.hyperclip_segmentor import HyperCLIPSegmentor
from hyperbolic_seg.models.segmentors.views import ViewPrediction, average_of_views


@MODELS.register_module()
class HyperCLIPTTAModel(BaseTTAModel):
    """Test-time augmentation of a :class:`HyperCLIPSegmentor`, as ``tta_model`` of a config.

    The probabilities of a pixel are the means over the views of its image, as in :class:`mmseg.models.SegTTAModel`.
    What ``test_cfg`` does to logits or probabilities is done to each view, and what it does to labels (``background``,
    ``min_area``) to the average. The data samples carry what those of the segmentor do. A vocabulary above
    ``class_chunk`` is predicted some classes at a time here too.

    Args:
        module: The segmentor or its config.
        data_preprocessor: As for :class:`mmengine.model.BaseTTAModel`.

    Raises:
        TypeError: ``module`` is no :class:`HyperCLIPSegmentor`.
    """

    def __init__(self, module: Any, data_preprocessor: Any = None) -> None:
        super().__init__(module, data_preprocessor)
        if not isinstance(self.module, HyperCLIPSegmentor):
            raise TypeError(
                f'HyperCLIPTTAModel averages what a HyperCLIPSegmentor predicts, got {type(self.module).__name__}: set '
                "tta_model=dict(type='SegTTAModel')"
            )

    def test_step(self, data: dict[str, Any]) -> list[SegDataSample]:
        """Predict a batch of images, each seen in several views.

        Args:
            data: For every view what :meth:`HyperCLIPSegmentor.test_step` gets, ``inputs`` and ``data_samples``.

        Returns:
            The data samples of the first view.
        """
        seen = [
            self.module.views_of({name: of_views[number] for name, of_views in data.items()})
            for number in range(len(data['inputs']))
        ]
        samples = [sample for _, sample in seen[0]]
        return self.merge_preds([[view for view, _ in of_image] for of_image in zip(*seen, strict=True)], samples)

    def merge_preds(
        self, views: Sequence[Sequence[ViewPrediction]], samples: list[SegDataSample]
    ) -> list[SegDataSample]:
        """Put the average of the views of every image into its data sample."""
        multilabel = self.module.decode_head.multilabel
        for of_image, sample in zip(views, samples, strict=True):
            self.module.pack(average_of_views(of_image, multilabel=multilabel), sample)
        return samples
