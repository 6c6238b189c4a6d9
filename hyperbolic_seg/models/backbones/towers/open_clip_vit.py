"""Vision transformers of open_clip itself."""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from hyperbolic_seg.models.backbones.dense_attention import WITHOUT_FEED_FORWARD, dense_block
from hyperbolic_seg.models.backbones.towers.base import Tower, resize_positions, token_maps


class OpenCLIPViT(Tower):
    """Vision transformers with plain attention: CLIP of OpenAI, LAION, DataComp, DFN, MetaCLIP and CLIPA."""

    description: ClassVar[str] = 'vision transformers of open_clip with plain attention, such as ViT-B-16'

    @staticmethod
    def fits(visual: Any) -> bool:
        """Return whether a tower is a ``VisionTransformer`` of open_clip whose attention has nothing added."""
        from open_clip.transformer import VisionTransformer  # takes half a second, and a U-Net needs none

        if not isinstance(visual, VisionTransformer) or visual.attn_pool is not None:
            return False
        return all(isinstance(block.attn, nn.MultiheadAttention) for block in visual.transformer.resblocks)

    def set_details(self, visual: Any) -> None:
        """Replace QuickGELU, and set the constants of the layer norms."""
        from open_clip.transformer import QuickGELU

        for module in visual.modules():
            if self.options.activation == 'gelu' and isinstance(getattr(module, 'gelu', None), QuickGELU):
                module.gelu = nn.GELU()
            if self.options.norm_eps is not None and isinstance(module, nn.LayerNorm):
                module.eps = self.options.norm_eps

    def inner_maps(self, visual: Any) -> int:
        """Return the number of blocks but for the last one, which makes the dense map."""
        return len(visual.transformer.resblocks) - 1

    def blocks(self, visual: Any) -> Iterator[nn.Module]:
        """Yield all blocks but the last one."""
        yield from visual.transformer.resblocks[:-1]

    def patch_size(self, visual: Any) -> tuple[int, int]:
        """Return height and width of a patch."""
        height, width = visual.patch_size
        return height, width

    def unread(self, visual: Any) -> Iterator[nn.Parameter]:
        """Yield the parameters of the feed-forward part of the last block where the dense map has none."""
        if self.options.dense in WITHOUT_FEED_FORWARD:
            last = visual.transformer.resblocks[-1]
            for module in (last.ln_2, last.mlp, last.ls_2):
                yield from module.parameters()

    def maps(self, visual: Any, images: Tensor) -> tuple[Tensor, ...]:
        """Return maps with one vector for each patch."""
        tokens, inner, grid = self.before_last(visual, images)
        last = visual.transformer.resblocks[-1]
        tokens = self.run(dense_block, last, tokens, self.options.dense, grid)
        dense = visual.ln_post(tokens) @ visual.proj
        return tuple(token_maps(each, 1, grid) for each in (*inner, dense))

    def before_last(self, visual: Any, images: Tensor) -> tuple[Tensor, list[Tensor], torch.Size]:
        """Return the input of the last block, (N, 1 + h * w, C), the tokens of ``out_indices``, and the grid (h, w)."""
        patches = visual.conv1(images)
        grid = patches.shape[2:]
        first = visual.class_embedding.to(patches).expand(patches.shape[0], 1, -1)
        tokens = torch.cat([first, patches.flatten(2).transpose(1, 2)], 1)
        # No antialiasing: CLIP's users resize without.
        positions = resize_positions(
            visual.positional_embedding[None],
            visual.grid_size,
            grid,
            how=self.options.positions,
            prefix=1,
            antialias=False,
        )
        tokens = visual.ln_pre(tokens + positions.to(tokens))
        found = []
        for i, block in enumerate(visual.transformer.resblocks[:-1]):
            tokens = self.run(block, tokens)
            if i in self.options.out_indices:
                found.append(tokens)
        return tokens, found, grid
