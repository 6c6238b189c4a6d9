"""GradualFusion: the decoder of SED, from a coarse cost volume to logits along the stages of the encoder."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hyperbolic_seg.models.cost_aggregation.aggregation import ABSENT
from hyperbolic_seg.models.cost_aggregation.by_class import ByClass
from hyperbolic_seg.models.cost_aggregation.classwise import ClassAggregation
from hyperbolic_seg.models.cost_aggregation.upsampling import double_conv


class GradualFusion(ByClass):
    """Refine the costs between pixels and words step by step (SED: Xie et al., CVPR 2024).

    The costs are embedded. Each step aggregates them over pixels, by a depthwise convolution with a large kernel, and
    over classes, by linear attention; then it doubles their size, and fuses them with a stage of the encoder and with
    the costs themselves, enlarged by transposed convolutions. The stages give no gradient to the encoder, the costs do.

    Before every step a small head guesses the logits. Its features give no gradient either, so it only learns to read
    them. In evaluation, classes that are at no pixel among the ``rejection`` most likely ones go no further (category
    early rejection).

    The design and the sizes are those of the paper and of its released code, which was read, but no record of what that
    code computes was at hand: nothing here is tested against it.

    Args:
        templates: P, costs of every class, one for each prompt template.
        fine_dims: Channels of the stages, the coarsest first.
        dims: Channels of the embedded costs.
        decoder_dims: Channels after each step.
        fine_guidance_dims: Channels that the stages, and the costs beside them, are projected to.
        kernel: Side of the kernel of the depthwise convolutions, odd.
        heads: Number of heads of the attention.
        pooling: Side of the squares of pixels that are averaged for the attention.
        align_corners: How pooled maps are enlarged again, see :class:`ClassAggregation`.
        rejection: How many classes a pixel keeps from being rejected; ``None`` rejects none.
        chunk: Number of classes that are computed at a time, which bounds the memory.
        with_cp: Recompute activations in the backward pass instead of keeping them.

    Raises:
        ValueError: The numbers of steps differ, or the kernel is even, or ``rejection`` is not positive.
    """

    def __init__(
        self,
        *,
        templates: int,
        fine_dims: Sequence[int],
        dims: int = 128,
        decoder_dims: Sequence[int] = (64, 32, 16),
        fine_guidance_dims: Sequence[int] = (32, 16, 8),
        kernel: int = 9,
        heads: int = 4,
        pooling: int = 2,
        align_corners: bool = True,
        rejection: int | None = None,
        chunk: int = 64,
        with_cp: bool = False,
    ) -> None:
        super().__init__(chunk=chunk, with_cp=with_cp)
        if not len(fine_dims) == len(decoder_dims) == len(fine_guidance_dims):
            raise ValueError(
                f'fine_dims={tuple(fine_dims)}, decoder_dims={tuple(decoder_dims)} and '
                f'fine_guidance_dims={tuple(fine_guidance_dims)}: expected one of each for every step'
            )
        if kernel % 2 == 0:
            raise ValueError(f'kernel={kernel}: expected an odd number, so that maps keep their size')
        if rejection is not None and rejection < 1:
            raise ValueError(f'rejection={rejection}: expected a positive number of classes, or None')
        self.rejection = rejection
        self.embed = nn.Conv2d(templates, dims, 7, padding=3)
        self.fine = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, out, 3, padding=1), nn.ReLU())
            for channels, out in zip(fine_dims, fine_guidance_dims, strict=True)
        )
        self.costs = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(channels, out, 2, stride=2), nn.ReLU())
            for channels, out in zip((templates, *fine_guidance_dims), fine_guidance_dims, strict=False)
        )
        widths = (dims, *decoder_dims)
        self.steps = nn.ModuleList(
            _FusionStep(*pair, guidance, kernel=kernel, heads=heads, pooling=pooling, align_corners=align_corners)
            for pair, guidance in zip(zip(widths, decoder_dims, strict=False), fine_guidance_dims, strict=True)
        )
        self.early_heads = nn.ModuleList(nn.Conv2d(width, 1, 3, padding=1) for width in widths[:-1])
        self.head = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, cost: Tensor, fine: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the logits, and in training those that the early heads guess.

        Args:
            cost: (N, K, P, H, W).
            fine: Stages of the encoder, of twice the size each: (N, C, 2 H, 2 W), (N, C', 4 H, 4 W), ...

        Returns:
            Logits (N, K, s H, s W), where s is 8 for three steps, -100 for rejected classes; and the early logits
            (N, K, H, W), (N, K, 2 H, 2 W), ..., none in evaluation.
        """
        cost = cost.to(self.embed.weight.dtype)  # costs are at least float32
        projected = [project(stage.detach()) for project, stage in zip(self.fine, fine, strict=True)]
        if not self._rejects(cost.shape[1]):
            return self._decoded(cost, projected)
        # Every image rejects classes of its own.
        images = zip(cost.split(1), *(stage.split(1) for stage in projected), strict=True)
        return torch.cat([self._decoded(one, stages)[0] for one, *stages in images]), ()

    def _decoded(self, cost: Tensor, stages: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Decode costs beside projected stages; only a single image can reject classes."""
        classes, kept, early = cost.shape[1], None, []
        x = self.by_chunks(partial(_by_class, self.embed), cost)
        modules: Any = zip(self.steps, self.early_heads, self.costs, strict=True)
        for (step, guess, enlarge), stage in zip(modules, stages, strict=True):
            if self.training:
                early.append(_by_class(guess, x.detach()).squeeze(2))
            elif self._rejects(x.shape[1]):
                likely = self._likely(_by_class(guess, x).squeeze(2))
                kept = likely if kept is None else kept[likely]
                x, cost = x[:, likely], cost[:, likely]
            cost = self.by_chunks(partial(_by_class, enlarge), cost)
            x = self.by_chunks(step.over_pixels, x)
            x = self.run(partial(step.over_classes, chunk=self.chunk), x)
            x = self.by_chunks(step.fused, x, cost, shared=(stage,))
        logits = self.by_chunks(partial(_by_class, self.head), x).squeeze(2)
        if kept is not None:
            absent = logits.new_full((1, classes, *logits.shape[2:]), ABSENT)
            logits = absent.index_copy(1, kept, logits)
        return logits, tuple(early)

    def _rejects(self, classes: int) -> bool:
        return not self.training and self.rejection is not None and self.rejection < classes

    def _likely(self, logits: Tensor) -> Tensor:
        """Return the classes that are among the most likely ones at some pixel, in order; logits (1, K, H, W)."""
        likely: Tensor = logits.topk(self.rejection or 1, dim=1).indices.unique()
        return likely


class _FusionStep(nn.Module):
    """Aggregate maps of classes, (N, K, C, H, W), double their size, and fuse them with a stage and with costs."""

    def __init__(
        self,
        dims: int,
        out_dims: int,
        guidance_dims: int,
        *,
        kernel: int,
        heads: int,
        pooling: int,
        align_corners: bool,
    ) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(dims, dims, kernel, padding=kernel // 2, groups=dims)
        self.norm = nn.LayerNorm(dims)
        self.mlp = nn.Sequential(nn.Linear(dims, 4 * dims), nn.GELU(), nn.Linear(4 * dims, dims))
        self.scale = nn.Parameter(torch.empty(dims))
        self.classwise = ClassAggregation(dims, 0, heads=heads, pooling=pooling, padding=0, align_corners=align_corners)
        self.up = nn.ConvTranspose2d(dims, dims - guidance_dims, 2, stride=2)
        self.refine = double_conv(dims + guidance_dims, out_dims)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return the scale to its start; the layers have starts of their own."""
        nn.init.ones_(self.scale)

    def over_pixels(self, x: Tensor) -> Tensor:
        """Add what a block of ConvNeXt computes for each class (Liu et al., CVPR 2022)."""
        planes = self.spatial(x.flatten(0, 1)).movedim(1, -1)
        change = (self.scale * self.mlp(self.norm(planes))).movedim(-1, 1)
        maps: Tensor = x + change.unflatten(0, x.shape[:2])
        return maps

    def over_classes(self, x: Tensor, *, chunk: int) -> Tensor:
        """Let classes attend to each other at each pixel; the words do not guide them."""
        found: Tensor = self.classwise(x.movedim(2, -1), x.new_empty(*x.shape[:2], 0), chunk=chunk)
        return found.movedim(-1, 2)

    def fused(self, x: Tensor, cost: Tensor, stage: Tensor) -> Tensor:
        """Return maps of twice the size; a stage (N, G, 2 H, 2 W) is shared by all classes, costs are of each."""
        of_classes = stage.unsqueeze(1).expand(-1, x.shape[1], -1, -1, -1)
        larger = _by_class(self.up, x)
        return _by_class(self.refine, torch.cat([larger, of_classes, cost], 2))


def _by_class(module: nn.Module, x: Tensor) -> Tensor:
    """Call a module for planes on the maps of each class, (N, K, C, H, W)."""
    maps: Tensor = module(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    return maps
