"""The interface of vision towers, and what they have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.parametrize import cached
from torch.utils.checkpoint import checkpoint

POSITIONS = ('size', 'scale')


@dataclass(frozen=True)
class DenseOptions:
    """Options of dense features, as :class:`OpenCLIPVisionBackbone` takes them."""

    dense: str = 'maskclip'
    out_indices: tuple[int, ...] = ()
    positions: str = 'size'
    activation: str | None = None
    norm_eps: float | None = None
    with_cp: bool = False


class Tower(ABC):
    """A kind of vision tower: how its modules compute dense features in the joint space.

    It holds no modules. The weights keep the names that they have in open_clip, and whatever wraps or replaces modules
    later is used.

    Args:
        options: How the features are made dense.
    """

    description: ClassVar[str]
    """The towers of this kind, with the names of models, for messages."""

    def __init__(self, options: DenseOptions) -> None:
        self.options = options

    @staticmethod
    @abstractmethod
    def fits(visual: Any) -> bool:
        """Return whether a tower is of this kind."""

    def check(self, name: str, visual: Any) -> None:
        """Refuse options that have no meaning for a tower.

        Raises:
            ValueError: An option has no meaning, or ``out_indices`` do not ascend or one of them does not exist.
        """
        count = self.inner_maps(visual)
        wanted = self.options.out_indices
        if not set(wanted) <= set(range(count)) or list(wanted) != sorted(set(wanted)):
            raise ValueError(
                f'out_indices={wanted}: expected some of 0 to {count - 1} for {name}, in ascending order and each once'
            )

    @abstractmethod
    def set_details(self, visual: Any) -> None:
        """Set ``activation`` and ``norm_eps`` in the modules of a tower."""

    @abstractmethod
    def inner_maps(self, visual: Any) -> int:
        """Return the number of feature maps that ``out_indices`` counts."""

    @abstractmethod
    def blocks(self, visual: Any) -> Iterator[nn.Module]:
        """Yield the blocks that are called as modules; dense features read the weights of others without a call."""

    @abstractmethod
    def patch_size(self, visual: Any) -> tuple[int, int]:
        """Return height and width that images have to be multiples of, in pixels."""

    def unread(self, visual: Any) -> Iterator[nn.Parameter]:
        """Yield the parameters that have no part in any map, such as the keys where only values are read.

        They get no gradient, for which distributed training would wait. A packed weight of which one part is read gets
        a gradient that is zero elsewhere.
        """
        yield from ()

    @abstractmethod
    def maps(self, visual: Any, images: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of ``out_indices``, then the one in the joint space.

        Args:
            visual: The tower.
            images: (N, 3, H, W), multiples of the patch size.

        Returns:
            Maps (N, C, h, w).
        """

    def run(self, function: Any, *inputs: Any) -> Any:
        """Call a function, and again in the backward pass instead of keeping its activations if options say so."""
        if self.options.with_cp and torch.is_grad_enabled():
            return checkpoint(_cached, function, *inputs, use_reentrant=False)
        return _cached(function, *inputs)


def _cached(function: Any, *inputs: Any) -> Any:
    """Call a function while adapted weights are computed only once, in a recomputing backward pass too."""
    with cached():
        return function(*inputs)


def resize_positions(
    embeddings: Tensor, old: Sequence[int], new: Sequence[int], *, how: str, prefix: int, antialias: bool
) -> Tensor:
    """Resize positional embeddings bicubically.

    Args:
        embeddings: (1, prefix + H * W, D).
        old: H and W, the grid that they are for.
        new: h and w, the grid of the image.
        how: ``'size'``, to the size of the grid, or ``'scale'``, by (h + 0.1) / H, as in the code of SCLIP.
        prefix: How many of them are for tokens that are no patches.
        antialias: Average where the new grid is smaller; for ``'size'`` alone.

    Returns:
        (1, prefix + h * w, D).
    """
    if how == 'size' or tuple(old) == tuple(new):
        resized: Tensor = resample_abs_pos_embed(
            embeddings, list(new), old_size=list(old), num_prefix_tokens=prefix, antialias=antialias
        )
        return resized
    first, patches = embeddings[:, :prefix], embeddings[:, prefix:].unflatten(1, tuple(old)).movedim(-1, 1)
    scale = [(now + 0.1) / before for now, before in zip(new, old, strict=True)]
    patches = interpolate(patches, scale_factor=scale, mode='bicubic', align_corners=False)
    return torch.cat([first, patches.flatten(2).transpose(1, 2)], 1)


def token_maps(tokens: Tensor, prefix: int, grid: Sequence[int]) -> Tensor:
    """Return tokens (N, prefix + h * w, C) as a map (N, C, h, w)."""
    maps: Tensor = tokens[:, prefix:].transpose(1, 2).unflatten(2, tuple(grid))
    return maps
