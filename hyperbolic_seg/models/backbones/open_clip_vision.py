"""The vision towers of open_clip as backbones, with dense features in the joint space of CLIP."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from open_clip.timm_model import TimmModel
from open_clip.transformer import QuickGELU, VisionTransformer
from timm.layers import resample_abs_pos_embed
from timm.models.convnext import ConvNeXt
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.utils.parametrize import cached
from torch.utils.checkpoint import checkpoint

from hyperbolic_seg.layers.adapters import add_to_tower, load_tower, merge_tower
from hyperbolic_seg.layers.freezing import train_only
from hyperbolic_seg.models.backbones.dense_attention import DENSE, dense_block
from hyperbolic_seg.options import check_number
from hyperbolic_seg.text.open_clip import build_open_clip, check_source, load_open_clip

POSITIONS = ('size', 'scale')
_CONVNEXT_STRIDE = 32


@MODELS.register_module()
class OpenCLIPVisionBackbone(BaseModule):
    """The vision transformer or ConvNeXt of any open_clip model.

    The last feature map lies in the joint space of CLIP, where the text embeddings of the same model are: each of its
    vectors is compared with a word as CLIP compares a whole image. Before it come feature maps of the tower itself,
    which guide what refines the comparison.

    Images of any size are read. For a transformer they are resized to whole patches, and its position embeddings are
    resized too. Images come in RGB, normalized by the mean and standard deviation of CLIP
    (``configs/_base_/models/clip_vit.py``).

    Args:
        model: A model name of open_clip such as ``'ViT-B-16'``, or with one of its schemas, ``'hf-hub:'`` and
            ``'local-dir:'``.
        pretrained: A pretrained tag of open_clip such as ``'openai'``, or a checkpoint file of the whole model, vision
            and text. Read by :meth:`init_weights`, so a checkpoint of a training loads without it. ``None`` for a
            schema.
        quick_gelu: Build with QuickGELU, which a checkpoint *file* of OpenAI's weights needs; a tag brings it along.
        dense: How the last block of a transformer makes dense features: ``'maskclip'``, ``'catseg'``, ``'sclip'``,
            ``'clearclip'`` or ``'tokens'``; see :func:`~hyperbolic_seg.models.backbones.dense_attention.dense_block`. The features of a
            ConvNeXt are dense as they are.
        out_indices: Blocks of a transformer, or stages of a ConvNeXt, whose outputs are returned too, from 0 on.
        positions: How the positional embeddings of a transformer are resized, bicubically in both cases: ``'size'``, to
            the size of the grid, or ``'scale'``, by (n + 0.1) / m for a grid of n instead of m patches, as in the
            released code of SCLIP and ClearCLIP.
        activation: ``'gelu'`` for the exact GELU in the blocks of a transformer whatever the weights were trained with,
            as in the released configuration of MaskCLIP; ``None`` for that of the model.
        norm_eps: Constant of the layer norms of a transformer, 1e-6 in the released configuration of MaskCLIP; ``None``
            for that of the model, 1e-5.
        resolution: Height and width that images are resized to before anything else, such as the resolution that the
            tower was trained at; ``None`` keeps their size.
        trainable: Regular expressions, such as ``('attn',)``. Parameters train if one of them is found in their name;
            all others are frozen. ``('',)`` trains all.
        adapter: Options of :func:`~hyperbolic_seg.layers.adapters.add_to_tower`, which adapts the frozen weights of the
            attention, such as ``dict(type='RadiusScaling', block_size=128, curvature=0.01)`` of HyperCLIP; ``None`` for
            none. Adapters train whatever ``trainable`` says, and only transformers have these weights.
        antialias: Average pixels where images are resized, as by default. The released code of CAT-Seg does not.
        with_cp: Recompute activations in the backward pass instead of keeping them.
        init_cfg: As for :class:`mmengine.model.BaseModule`.

    Raises:
        ValueError: A setting does not fit the model.
        RuntimeError: open_clip has no such model.
    """

    def __init__(
        self,
        model: str = 'ViT-B-16',
        pretrained: str | None = 'openai',
        *,
        quick_gelu: bool = False,
        dense: str = 'maskclip',
        out_indices: Sequence[int] = (),
        positions: str = 'size',
        activation: str | None = None,
        norm_eps: float | None = None,
        resolution: Sequence[int] | None = None,
        trainable: Sequence[str] = (),
        adapter: dict[str, Any] | None = None,
        antialias: bool = True,
        with_cp: bool = False,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_source(model, pretrained)
        if dense not in DENSE:
            raise ValueError(f'dense={dense!r}: expected one of {DENSE}')
        if positions not in POSITIONS:
            raise ValueError(f'positions={positions!r}: expected one of {POSITIONS}')
        if activation not in (None, 'gelu'):
            raise ValueError(f"activation={activation!r}: expected 'gelu', or None for that of the model")
        if norm_eps is not None:
            check_number('norm_eps', norm_eps, above=0)
        self.source: dict[str, Any] = dict(model=model, pretrained=pretrained, quick_gelu=quick_gelu)
        self.dense, self.with_cp, self.out_indices = dense, with_cp, tuple(out_indices)
        self.positions, self.antialias = positions, antialias
        self.resolution = None if resolution is None else tuple(resolution)
        whole: Any = build_open_clip(model, pretrained, quick_gelu=quick_gelu)
        self.visual: Any = whole.visual
        self.is_transformer = isinstance(self.visual, VisionTransformer)
        self._check()
        _set_details(self.visual, exact_gelu=activation == 'gelu', norm_eps=norm_eps)
        train_only(self.visual, trainable)
        self.frozen = not trainable
        if adapter is not None:
            add_to_tower(self.visual, **adapter)

    def _check(self) -> None:
        """Refuse towers without dense features in the joint space, and blocks that do not exist."""
        name, visual = self.source['model'], self.visual
        if self.is_transformer:
            fits = visual.attn_pool is None and all(isinstance(b.attn, nn.MultiheadAttention) for b in self._blocks)
        else:
            fits = isinstance(visual, TimmModel) and isinstance(visual.trunk, ConvNeXt)
        if not fits:
            raise ValueError(
                f'{name} is neither a vision transformer of open_clip with plain attention, such as ViT-B-16, nor a '
                'ConvNeXt, such as convnext_base_w: it has no dense features in its joint space'
            )
        inner = len(self._blocks) - self.is_transformer  # The last block of a transformer makes the dense map.
        if not set(self.out_indices) <= set(range(inner)):
            raise ValueError(f'out_indices={self.out_indices}: expected some of 0 to {inner - 1} for {name}')

    @property
    def _blocks(self) -> nn.Sequential | nn.ModuleList:
        blocks: nn.Sequential | nn.ModuleList = (
            self.visual.transformer.resblocks if self.is_transformer else self.visual.trunk.stages
        )
        return blocks

    def init_weights(self) -> None:
        """Load the weights of the vision tower.

        Raises:
            RuntimeError: They cannot be downloaded or read; the message says what can be done.
        """
        whole: Any = load_open_clip(**self.source)
        super().init_weights()
        load_tower(self.visual, whole.visual.state_dict())
        print_log(f'the vision tower starts with {self.source}', 'current')

    def merge_adapter(self) -> 'OpenCLIPVisionBackbone':
        """Merge adapters and split projections into weights with open_clip's names, in place; return the backbone."""
        merge_tower(self.visual)
        return self

    def train(self, mode: bool = True) -> 'OpenCLIPVisionBackbone':
        """Switch between training and evaluation; a tower that is frozen as a whole stays in evaluation."""
        super().train(mode)
        self.visual.train(mode and not self.frozen)
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of ``out_indices``, then the one in the joint space.

        Args:
            images: (N, 3, H, W).

        Returns:
            Maps (N, C, h, w), of a transformer with one vector for each patch; the last one has the dimensions of the
            text embeddings.
        """
        size = self._whole_patches(images.shape[2:] if self.resolution is None else self.resolution)
        if images.shape[2:] != size:
            images = interpolate(images, size=size, mode='bilinear', align_corners=False, antialias=self.antialias)
        return self._transformer(images) if self.is_transformer else self._convnext(images)

    def _whole_patches(self, size: Sequence[int]) -> tuple[int, ...]:
        """Return the size rounded up to whole patches, so that no border is cut off."""
        patches = self.visual.patch_size if self.is_transformer else (_CONVNEXT_STRIDE, _CONVNEXT_STRIDE)
        return tuple(side + -side % patch for side, patch in zip(size, patches, strict=True))

    def _transformer(self, images: Tensor) -> tuple[Tensor, ...]:
        visual = self.visual
        patches = visual.conv1(images)
        grid = patches.shape[2:]
        first = visual.class_embedding.to(patches).expand(patches.shape[0], 1, -1)
        tokens = torch.cat([first, patches.flatten(2).transpose(1, 2)], 1)
        tokens = visual.ln_pre(tokens + self._positions(grid).to(tokens))
        *blocks, last = self._blocks
        maps = []
        for i, block in enumerate(blocks):
            tokens = self._run(block, tokens)
            if i in self.out_indices:
                maps.append(tokens)
        tokens = self._run(dense_block, last, tokens, self.dense)
        maps.append(visual.ln_post(tokens) @ visual.proj)
        return tuple(m[:, 1:].transpose(1, 2).unflatten(2, grid) for m in maps)

    def _positions(self, grid: torch.Size) -> Tensor:
        """Return the positional embeddings of the class token and a grid of patches, (1, 1 + h * w, D)."""
        own, embeddings = tuple(self.visual.grid_size), self.visual.positional_embedding[None]
        if self.positions == 'size' or tuple(grid) == own:
            # No antialiasing: CLIP's users resize without.
            resized: Tensor = resample_abs_pos_embed(embeddings, list(grid), old_size=list(own), antialias=False)
            return resized
        first, patches = embeddings[:, :1], embeddings[:, 1:].unflatten(1, own).movedim(-1, 1)
        scale = [(new + 0.1) / old for new, old in zip(grid, own, strict=True)]
        patches = interpolate(patches, scale_factor=scale, mode='bicubic', align_corners=False)
        return torch.cat([first, patches.flatten(2).transpose(1, 2)], 1)

    def _convnext(self, images: Tensor) -> tuple[Tensor, ...]:
        trunk = self.visual.trunk
        maps, stages = [], trunk.stem(images)
        for i, stage in enumerate(trunk.stages):
            stages = self._run(stage, stages)
            if i in self.out_indices:
                maps.append(stages)
        dense = trunk.head.norm(trunk.norm_pre(stages))
        maps.append(self.visual.head(dense.movedim(1, -1)).movedim(-1, 1))
        return tuple(maps)

    def _run(self, function: Any, *inputs: Any) -> Any:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(_cached, function, *inputs, use_reentrant=False)
        return _cached(function, *inputs)


def _set_details(visual: Any, *, exact_gelu: bool, norm_eps: float | None) -> None:
    for module in visual.modules():
        if exact_gelu and isinstance(getattr(module, 'gelu', None), QuickGELU):
            module.gelu = nn.GELU()
        if norm_eps is not None and isinstance(module, nn.LayerNorm):
            module.eps = norm_eps


def _cached(function: Any, *inputs: Any) -> Any:
    """Call a function while adapted weights are computed only once, in a recomputing backward pass too."""
    with cached():
        return function(*inputs)
