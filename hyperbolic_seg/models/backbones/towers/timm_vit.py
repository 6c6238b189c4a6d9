"""Vision transformers of timm within open_clip: SigLIP, PE-Core, EVA-CLIP."""

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from timm.layers import (
    AttentionPoolLatent,
    AttentionRope,
    GluMlp,
    PatchEmbed,
    RotaryEmbeddingCat,
    SwiGLU,
    build_rotary_pos_embed,
)
from timm.layers.attention import Attention
from timm.models.eva import Eva, EvaAttention, EvaBlock, EvaBlockPostNorm
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from hyperbolic_seg.models.backbones.dense_attention import VALUES_ALONE, WITHOUT_FEED_FORWARD, dense_timm_block
from hyperbolic_seg.models.backbones.towers.base import Tower, resize_positions, token_maps

_POOLS = ('token', 'avg', 'avgmax', 'max', 'map')


class TimmViT(Tower):
    r"""Vision transformers of timm: ``VisionTransformer`` (SigLIP, SigLIP 2) and ``Eva`` (PE-Core, EVA02-CLIP).

    Absolute positional embeddings are resized to the grid as timm does, bicubically and averaging, rotary ones are
    computed for it.

    A patch goes to the joint space on the way that the tower has for the whole image, with the pooling over this patch
    alone:

    - class token or mean: the patch takes its place, and the norms and the projection after the pooling follow;
    - attention pooling (SigLIP, PE-Core): the latent query attends to one key, so the softmax is 1 whatever the query
      and the key are. What is left is :math:`y = W_o (W_v x + b_v) + b_o`, then the feed-forward part of the head,
      :math:`y + \operatorname{MLP}(\operatorname{norm}(y))`, then the norm and the projection that follow the pooling.

    The image embedding of attention pooling is no mean of these vectors, since weights and feed-forward part depend on
    all patches. An image of one patch has it exactly if the tower has no class token.
    """

    description: ClassVar[str] = (
        'vision transformers of timm with plain or rotary attention, such as ViT-B-16-SigLIP2, PE-Core-B-16 and '
        'EVA02-B-16'
    )

    @staticmethod
    def fits(visual: Any) -> bool:
        """Return whether each part of a tower is one that :meth:`maps` computes."""
        from open_clip.timm_model import TimmModel  # takes half a second, and a U-Net needs none

        if not isinstance(visual, TimmModel) or not isinstance(visual.trunk, VisionTransformer | Eva):
            return False
        trunk, head = visual.trunk, visual.head
        pool, rope = trunk.attn_pool, getattr(trunk, 'rope', None)
        return (
            isinstance(trunk.patch_embed, PatchEmbed)
            and all(_is_known(block) for block in trunk.blocks)
            and trunk.global_pool in _POOLS
            and 'pool' not in dict(head.named_children())
            and (pool is None or _is_one_query(pool))
            and (rope is None or (isinstance(rope, RotaryEmbeddingCat) and not _turns_halves(trunk)))
        )

    def check(self, name: str, visual: Any) -> None:
        """Refuse options that need a part the tower lacks: a class token, positional embeddings, GELU, a block."""
        super().check(name, visual)
        trunk = visual.trunk
        if self.options.dense == 'catseg' and trunk.cls_token is None:
            raise ValueError(
                f"dense='catseg' needs the residual stream of a class token, and {name} has no class token: expected "
                "'maskclip', 'sclip', 'clearclip' or 'tokens'"
            )
        if self.options.dense == 'naclip':
            raise ValueError(
                f"dense='naclip' is for vision transformers of open_clip itself, such as ViT-B-16, and {name} is of "
                "timm: expected 'maskclip', 'sclip', 'clearclip' or 'tokens'"
            )
        if self.options.positions == 'scale' and trunk.pos_embed is None:
            raise ValueError(f"positions='scale' is for positional embeddings, and {name} has none: expected 'size'")
        if self.options.activation and any(isinstance(block.mlp, GluMlp | SwiGLU) for block in trunk.blocks):
            raise ValueError(
                f'activation={self.options.activation!r}: the blocks of {name} have gates with SiLU: '
                'leave the option out'
            )

    def set_details(self, visual: Any) -> None:
        """Replace the activation of the blocks, and set the constants of the layer norms."""
        for block in visual.trunk.blocks:
            if self.options.activation == 'gelu':
                block.mlp.act = nn.GELU()
        for module in visual.modules():
            if self.options.norm_eps is not None and isinstance(module, nn.LayerNorm):
                module.eps = self.options.norm_eps

    def inner_maps(self, visual: Any) -> int:
        """Return the number of blocks but for the last one, which makes the dense map."""
        return len(visual.trunk.blocks) - 1

    def blocks(self, visual: Any) -> Iterator[nn.Module]:
        """Yield all blocks but the last one."""
        yield from visual.trunk.blocks[:-1]

    def patch_size(self, visual: Any) -> tuple[int, int]:
        """Return height and width of a patch."""
        height, width = visual.trunk.patch_embed.patch_size
        return height, width

    def unread(self, visual: Any) -> Iterator[nn.Parameter]:
        """Yield the parameters of the last block that the dense map does without, and of the query of a pooling."""
        last, pool, how = visual.trunk.blocks[-1], visual.trunk.attn_pool, self.options.dense
        unread: list[tuple[Any, tuple[str, ...]]] = [(pool, ('latent', 'q', 'q_norm', 'k_norm'))]
        if how in VALUES_ALONE:
            unread.append((last.attn, ('q_proj', 'q_norm', 'k_proj', 'k_norm')))
        if how in WITHOUT_FEED_FORWARD:
            unread += [(last.attn, ('k_proj', 'k_norm')), (last, ('norm2', 'mlp', 'ls2', 'gamma_2'))]
        for module, names in unread:
            for part in (getattr(module, name, None) for name in names):
                if isinstance(part, nn.Parameter):
                    yield part
                elif part is not None:
                    yield from part.parameters()

    def maps(self, visual: Any, images: Tensor) -> tuple[Tensor, ...]:
        """Return maps with one vector for each patch."""
        trunk = visual.trunk
        patches = trunk.patch_embed.proj(images)
        grid = patches.shape[2:]
        tokens = trunk.patch_embed.norm(patches.flatten(2).transpose(1, 2))
        tokens = trunk.norm_pre(trunk.pos_drop(self._embedded(trunk, tokens, grid)))
        # Blocks of a plain VisionTransformer have no such argument.
        rotation = () if getattr(trunk, 'rope', None) is None else (_rotation(trunk.rope, grid, tokens),)
        *blocks, last = trunk.blocks
        found = []
        for i, block in enumerate(blocks):
            tokens = self.run(block, tokens, *rotation)
            if i in self.options.out_indices:
                found.append(tokens)
        tokens = self.run(dense_timm_block, last, tokens, self.options.dense, *rotation)
        found.append(_to_joint_space(visual, tokens))
        return tuple(token_maps(each, trunk.num_prefix_tokens, grid) for each in found)

    def _embedded(self, trunk: Any, patches: Tensor, grid: torch.Size) -> Tensor:
        """Return tokens with their positional embeddings: class token and registers, if any, then the patches."""
        others = [token for token in (trunk.cls_token, trunk.reg_token) if token is not None]
        first = [token.to(patches).expand(patches.shape[0], -1, -1) for token in others]
        if trunk.pos_embed is None:
            return torch.cat([*first, patches], 1)
        apart = trunk.no_embed_class  # The tokens before the patches have no positions.
        positions = resize_positions(
            trunk.pos_embed,
            trunk.patch_embed.grid_size,
            grid,
            how=self.options.positions,
            prefix=0 if apart else trunk.num_prefix_tokens,
            antialias=True,
        ).to(patches)
        return torch.cat([*first, patches + positions], 1) if apart else torch.cat([*first, patches], 1) + positions


def _is_known(block: Any) -> bool:
    attention = block.attn
    return (
        isinstance(block, Block | EvaBlock | EvaBlockPostNorm)
        and isinstance(attention, Attention | AttentionRope | EvaAttention)
        and getattr(attention, 'num_kv_groups', 1) == 1
    )


def _is_one_query(pool: Any) -> bool:
    return isinstance(pool, AttentionPoolLatent) and pool.latent_len == 1 and pool.pos_embed is None


def _turns_halves(trunk: Any) -> bool:
    """Return whether rotary embeddings turn pairs of other channels than neighbors."""
    return any(getattr(block.attn, 'rotate_half', False) for block in trunk.blocks)


def _rotation(rope: Any, grid: torch.Size, tokens: Tensor) -> Tensor:
    """Return sine and cosine of the rotary embedding of a grid, (h * w, 2 * head dimensions).

    timm keeps them for one size of images; a tower for any size computes them.
    """
    sine, cosine = build_rotary_pos_embed(
        list(grid),
        dim=rope.dim,
        max_res=rope.max_res,
        temperature=rope.temperature,
        linear_bands=rope.linear_bands,
        in_pixels=rope.in_pixels,
        ref_feat_shape=rope.ref_feat_shape,
        grid_offset=rope.grid_offset,
        grid_indexing=rope.grid_indexing,
        device=tokens.device,
        dtype=torch.promote_types(tokens.dtype, torch.float32),
    )
    return torch.cat([sine, cosine], -1)


def _to_joint_space(visual: Any, tokens: Tensor) -> Tensor:
    """Return tokens (N, L, D) in the joint space, each as if it were the only one that is pooled."""
    trunk = visual.trunk
    tokens = trunk.norm(tokens)
    if trunk.attn_pool is not None:
        pool = trunk.attn_pool
        value = pool.kv(tokens).chunk(2, -1)[1]
        tokens = pool.proj_drop(pool.proj(value))
        if pool.mlp is not None:
            tokens = tokens + pool.mlp(pool.norm(tokens))
    joint: Tensor = visual.head(trunk.head(trunk.head_drop(trunk.fc_norm(tokens))))
    return joint
