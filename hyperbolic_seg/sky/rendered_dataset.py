"""Dataset of rendered images of the sky, which needs no files."""

from collections.abc import Sequence
from typing import Any

from mmseg.registry import DATASETS

from hyperbolic_seg.options import check_options, check_whole
from hyperbolic_seg.sky.defaults import TAXONOMY
from hyperbolic_seg.sky.ground_cloud import GroundCloudDataset
from hyperbolic_seg.sky.renderer import render_sky, sample_scene


@DATASETS.register_module()
class ProceduralSkyDataset(GroundCloudDataset):
    """Images of the procedural sky, rendered on access.

    Image ``i`` has the seed ``first_seed + i``, in every process and every epoch.

    Args:
        num_images: Number of images.
        first_seed: Seed of the first image; keep the seeds of training and validation apart.
        image_size: Side of the square images in pixels, or (height, width).
        scene: Options ``camera``, ``time`` and ``genera`` of :func:`hyperbolic_seg.sky.renderer.sample_scene`.
        metainfo: ``classes`` selects a subset of the vocabulary ``'sky'``.
        **kwargs: Arguments of :class:`GroundCloudDataset`, except those of files.
    """

    def __init__(
        self,
        num_images: int,
        *,
        first_seed: int = 0,
        image_size: int | Sequence[int] = 256,
        scene: dict[str, Any] | None = None,
        metainfo: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        check_whole('num_images', num_images)
        check_whole('first_seed', first_seed, least=0)
        sides = image_size if isinstance(image_size, Sequence) else (image_size, image_size)
        if len(sides) != 2:
            raise ValueError(f'image_size={image_size!r}: expected a side, or height and width')
        for side in sides:
            check_whole('image_size', side, least=32)
        check_options('scene', scene, sample_scene)
        self.num_images, self.first_seed = num_images, first_seed
        self.image_size = (sides[0], sides[1])
        self.scene = dict(scene or {})
        super().__init__(vocabulary=TAXONOMY, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the seeds."""
        return [
            dict(
                seed=self.first_seed + i,
                img_path=f'procedural_sky_{self.first_seed + i:08d}.png',
                label_map=self.label_map,
                reduce_zero_label=False,
                ignore_index=self.ignore_index,
                seg_fields=[],
            )
            for i in range(self.num_images)
        ]

    def prepare_data(self, idx: int) -> Any:
        """Render an image and run the pipeline, which starts after the loading of the image."""
        sample = self.get_data_info(idx)
        scene = sample_scene(sample['seed'], **self.scene)
        rendered = render_sky(sample['seed'], self.image_size, scene=scene)
        sample.update(img=rendered.image, seg_map=rendered.labels, attributes=rendered.attributes)
        return self.pipeline(sample)
