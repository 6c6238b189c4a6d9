"""ConvNeXts of timm within open_clip."""

from collections.abc import Iterator
from typing import Any, ClassVar

from timm.models.convnext import ConvNeXt
from torch import Tensor, nn

from hyperbolic_seg.models.backbones.towers.base import DenseOptions, Tower

_STRIDE = 32


class TimmConvNeXt(Tower):
    """ConvNeXts, whose features are dense as they are: the last norm and the projection are applied to each pixel."""

    description: ClassVar[str] = 'ConvNeXts, such as convnext_base_w'

    @staticmethod
    def fits(visual: Any) -> bool:
        """Return whether a tower is a ``ConvNeXt``."""
        from open_clip.timm_model import TimmModel  # takes half a second, and a U-Net needs none

        return isinstance(visual, TimmModel) and isinstance(visual.trunk, ConvNeXt)

    def check(self, name: str, visual: Any) -> None:
        """Refuse options for transformers, and stages that do not exist."""
        super().check(name, visual)
        if self.options.dense not in (DenseOptions.dense, 'tokens'):
            raise ValueError(
                f'dense={self.options.dense!r}: {name} is a ConvNeXt, which has no attention to change and is dense as '
                'it is: leave the option out'
            )
        for option in ('positions', 'activation', 'norm_eps'):
            if (given := getattr(self.options, option)) != getattr(DenseOptions, option):
                raise ValueError(
                    f'{option}={given!r} is for vision transformers, and {name} is a ConvNeXt: leave the option out'
                )

    def set_details(self, visual: Any) -> None:
        """Do nothing: the details are those of transformers."""

    def inner_maps(self, visual: Any) -> int:
        """Return the number of stages."""
        return len(visual.trunk.stages)

    def blocks(self, visual: Any) -> Iterator[nn.Module]:
        """Yield the blocks of all stages."""
        for stage in visual.trunk.stages:
            yield from stage.blocks

    def patch_size(self, visual: Any) -> tuple[int, int]:
        """Return the stride of the last stage."""
        return _STRIDE, _STRIDE

    def maps(self, visual: Any, images: Tensor) -> tuple[Tensor, ...]:
        """Return maps of stages, then the last one in the joint space, at a 32nd of the size of the images."""
        trunk = visual.trunk
        found, features = [], trunk.stem(images)
        for i, stage in enumerate(trunk.stages):
            features = self.run(stage, features)
            if i in self.options.out_indices:
                found.append(features)
        dense = trunk.head.norm(trunk.norm_pre(features))
        found.append(visual.head(dense.movedim(1, -1)).movedim(-1, 1))
        return tuple(found)
