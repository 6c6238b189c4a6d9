"""CostAggregation: from a coarse cost volume to logits, class by class, guided by image and text."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn

from hyperbolic_seg.geometry import unit
from hyperbolic_seg.models.cost_aggregation.by_class import ByClass
from hyperbolic_seg.models.cost_aggregation.classwise import ClassAggregation
from hyperbolic_seg.models.cost_aggregation.spatial import SpatialAggregation
from hyperbolic_seg.models.cost_aggregation.upsampling import GuidedUp

ABSENT = -100.0
"""Logit of a class that is not among the most likely ones of an image."""


class CostAggregation(ByClass):
    """Refine the costs between pixels and words (CAT-Seg: Cho et al., CVPR 2024).

    The costs of every class are embedded, then aggregated in turn over pixels (:class:`SpatialAggregation`) and over
    classes (:class:`ClassAggregation`), and enlarged four times along the edges of the image (:class:`GuidedUp`).

    Args:
        templates: P, costs of every class, one for each prompt template.
        dims: Channels of the embedded costs.
        dense_dims: Channels of the dense features, which guide the aggregation over pixels.
        text_dims: Channels of the text, which guides the aggregation over classes.
        fine_dims: Channels of the two feature maps that guide the upsampling, the coarser one first.
        fine_scales: How many times the two maps have to be enlarged for that: 2 and 4 for maps of a vision transformer,
            which are of the size of the dense features, 1 and 1 for those of a U-Net at twice and four times the size.
        guidance_dims: Channels that dense features and text are projected to.
        fine_guidance_dims: Channels that the two feature maps are projected to at the size of their step.
        decoder_dims: Channels after the two steps of the upsampling.
        layers: How often pixels and classes are aggregated.
        heads: Number of heads of every attention.
        window: Side of the windows of pixels.
        pooling: Side of the squares of pixels that are averaged for the aggregation over classes.
        eval_pooling: ``pooling`` in evaluation, 1 in the released configurations of CAT-Seg; ``None`` for the same as
            in training.
        align_corners: How pooled maps are enlarged again, see :class:`ClassAggregation`.
        unit_guidance: Guide by unit vectors of the dense features. Without, their length takes part, as released.
        padding: Number of classes up to which a vocabulary is filled up; see :class:`ClassAggregation`.
        chunk: Number of classes that are computed at a time, which bounds the memory. In training all activations are
            kept for the backward pass unless ``with_cp``.
        with_cp: Recompute activations in the backward pass instead of keeping them.
    """

    def __init__(
        self,
        *,
        templates: int,
        dense_dims: int,
        text_dims: int,
        fine_dims: Sequence[int],
        fine_scales: Sequence[int] = (2, 4),
        dims: int = 128,
        guidance_dims: int = 128,
        fine_guidance_dims: Sequence[int] = (32, 16),
        decoder_dims: Sequence[int] = (64, 32),
        layers: int = 2,
        heads: int = 4,
        window: int = 12,
        pooling: int = 2,
        eval_pooling: int | None = None,
        align_corners: bool = False,
        unit_guidance: bool = True,
        padding: int = 256,
        chunk: int = 64,
        with_cp: bool = False,
    ) -> None:
        super().__init__(chunk=chunk, with_cp=with_cp)
        self.unit_guidance = unit_guidance
        over_classes: dict[str, Any] = dict(
            heads=heads, pooling=pooling, padding=padding, eval_pooling=eval_pooling, align_corners=align_corners
        )
        self.embed = nn.Conv2d(templates, dims, 7, padding=3)
        self.image = nn.Sequential(nn.Conv2d(dense_dims, guidance_dims, 3, padding=1), nn.ReLU())
        self.text = nn.Sequential(nn.Linear(text_dims, guidance_dims), nn.ReLU())
        self.fine = nn.ModuleList(
            nn.Sequential(
                nn.ConvTranspose2d(channels, 8 * out, scale, stride=scale),
                nn.Conv2d(8 * out, out, 3, padding=1),
                nn.ReLU(),
            )
            for channels, out, scale in zip(fine_dims, fine_guidance_dims, fine_scales, strict=True)
        )
        self.spatial = nn.ModuleList(
            SpatialAggregation(dims, guidance_dims, heads=heads, window=window) for _ in range(layers)
        )
        self.classwise = nn.ModuleList(ClassAggregation(dims, guidance_dims, **over_classes) for _ in range(layers))
        widths = (dims, *decoder_dims)
        self.up = nn.ModuleList(
            GuidedUp(*pair, guidance)
            for pair, guidance in zip(zip(widths, decoder_dims, strict=False), fine_guidance_dims, strict=True)
        )
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, cost: Tensor, dense: Tensor, text: Tensor, fine: Sequence[Tensor]) -> Tensor:
        """Return logits (N, K, 4 H, 4 W).

        Args:
            cost: (N, K, P, H, W).
            dense: Dense features, (N, dense_dims, H, W).
            text: Embeddings of the classes, (N, K, text_dims).
            fine: Two feature maps, (N, fine_dims, 2 H / fine_scales, ...) and (N, fine_dims, 4 H / fine_scales, ...).
        """
        dtype = self.embed.weight.dtype  # lengths and costs are at least float32
        pixels = self.image(unit(dense, 1).to(dtype) if self.unit_guidance else dense).movedim(1, -1)
        words, cost = self.text(unit(text).to(dtype)), cost.to(dtype)
        maps = [project(features) for project, features in zip(self.fine, fine, strict=True)]
        x = self.by_chunks(self._embedded, cost)
        for spatial, classwise in zip(self.spatial, self.classwise, strict=True):
            x = self.by_chunks(spatial, x, shared=(pixels,))
            x = self.run(partial(classwise, chunk=self.chunk), x, words)
        return self.by_chunks(self._enlarged, x, shared=maps)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        older = f'{prefix}picture.'  # the name of ``image`` in checkpoints of before
        for key in [key for key in state_dict if key.startswith(older)]:
            state_dict[f'{prefix}image.{key.removeprefix(older)}'] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _embedded(self, cost: Tensor) -> Tensor:
        """Embed costs, (N, K, H, W, C)."""
        embedded: Tensor = self.embed(cost.flatten(0, 1))
        maps: Tensor = embedded.movedim(1, -1).unflatten(0, cost.shape[:2])
        return maps

    def _enlarged(self, x: Tensor, *maps: Tensor) -> Tensor:
        x = x.movedim(-1, 2)
        for up, guidance in zip(self.up, maps, strict=True):
            x = up(x, guidance)
        logits: Tensor = self.head(x.flatten(0, 1))
        return logits.view(*x.shape[:2], *x.shape[3:])
