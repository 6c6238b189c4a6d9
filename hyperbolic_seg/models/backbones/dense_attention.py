"""The last attention block of the vision tower of CLIP, changed so that tokens describe their own patch."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import apply_rot_embed_cat
from timm.models.eva import EvaBlockPostNorm
from torch import Tensor, nn

DENSE = ('maskclip', 'catseg', 'sclip', 'clearclip', 'naclip', 'tokens')
VALUES_ALONE = ('maskclip', 'catseg')
"""Ways without queries and keys."""
WITHOUT_FEED_FORWARD = ('clearclip', 'naclip')
"""Ways without residual stream and feed-forward part."""
_NEIGHBORHOOD = 5.0  # standard deviation in patches, as published


def dense_block(block: Any, tokens: Tensor, how: str, grid: Sequence[int] = ()) -> Tensor:
    r"""Run the last block of a vision transformer so that every token keeps to its own patch.

    The loss of CLIP looks at the class token alone, so in the last block the patches attend to wherever the whole image
    is summed up. With queries, keys and values :math:`Q, K, V` of the same projections, the attention is

    - ``'maskclip'``: :math:`V`, every token its own value (Zhou, Loy, Dai, ECCV 2022);
    - ``'catseg'``: :math:`V` too, but the residual stream that it is added to is that of the class token, at every
      patch, as in the released code of CAT-Seg (Cho et al., CVPR 2024) and HyperCLIP (Peng et al., CVPR 2025);
    - ``'sclip'``: :math:`(\sigma(QQ^\top/\sqrt d) + \sigma(KK^\top/\sqrt d)) V` (Wang, Mei, Yuille, ECCV 2024);
    - ``'clearclip'``: :math:`\sigma(QQ^\top/\sqrt d) V`, without the residual stream and the feed-forward part (Lan et
      al., ECCV 2024);
    - ``'naclip'``: :math:`\sigma(KK^\top/\sqrt d + \omega) V` likewise, where :math:`\omega` is
      :func:`neighborhood` (Hajimiri, Ben Ayed, Dolz, WACV 2025);
    - ``'tokens'``: :math:`\sigma(QK^\top/\sqrt d) V`, the block as it is.

    Args:
        block: A residual attention block of open_clip.
        tokens: Its input, (N, L, D).
        how: One of the names above.
        grid: Rows and columns of the patches, which follow the class token; for ``'naclip'`` alone.

    Returns:
        Its output, (N, L, D).
    """
    if how == 'tokens':
        unchanged: Tensor = block(tokens)
        return unchanged
    attended: Tensor = block.ls_1(_attend(block.attn, block.ln_1(tokens), how, grid))
    if how in WITHOUT_FEED_FORWARD:
        return attended
    tokens = (tokens[:, :1] if how == 'catseg' else tokens) + attended
    fed_forward: Tensor = block.ls_2(block.mlp(block.ln_2(tokens)))
    return tokens + fed_forward


def neighborhood(grid: Sequence[int], like: Tensor, *, deviation: float = _NEIGHBORHOOD) -> Tensor:
    r"""Return a Gaussian of the distance between patches, :math:`\exp(-|p_i - p_j|^2 / 2 s^2)`, (h * w, h * w).

    Args:
        grid: Rows and columns of patches.
        like: A tensor of the type and device wanted.
        deviation: s, in patches.
    """
    rows, columns = (torch.arange(side, device=like.device, dtype=torch.float32) for side in grid)
    near_rows, near_columns = (
        (-(place[:, None] - place).square() / (2 * deviation**2)).exp() for place in (rows, columns)
    )
    # Not torch.kron, which makes constants of the sizes in an export.
    return (near_rows[:, None, :, None] * near_columns[None, :, None]).flatten(2).flatten(0, 1).to(like)


def _attend(attention: nn.MultiheadAttention, tokens: Tensor, how: str, grid: Sequence[int] = ()) -> Tensor:
    projected = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    if how in VALUES_ALONE:
        mixed = projected.chunk(3, -1)[2]
    else:
        heads = projected.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = (part.contiguous() for part in heads.unbind(0))
        if how == 'naclip':
            near = F.pad(neighborhood(grid, key), (1, 0, 1, 0))  # The class token is near to nothing.
            mixed = F.scaled_dot_product_attention(key, key, value, near).transpose(1, 2).flatten(2)
        else:
            mixed = _mixed(query, key, value, how)
    outcome: Tensor = attention.out_proj(mixed)
    return outcome


def dense_timm_block(block: Any, tokens: Tensor, how: str, rotation: Tensor | None = None) -> Tensor:
    """Run the last block of a vision transformer of timm in the same ways.

    Args:
        block: A ``Block``, ``EvaBlock`` or ``EvaBlockPostNorm``.
        tokens: Its input, (N, L, D).
        how: One of the names of :func:`dense_block` but ``'naclip'``; ``'catseg'`` takes the first token as the class
            token.
        rotation: Sine and cosine of the rotary embedding of the patches, which are the last tokens, (P, 2 * head
            dimensions); ``None`` if the model has none. It turns queries and keys, so it changes ``'sclip'``,
            ``'clearclip'`` and ``'tokens'`` alone.

    Returns:
        Its output, (N, L, D).

    Raises:
        ValueError: ``how`` is ``'naclip'``.
    """
    if how == 'naclip':
        raise ValueError("how='naclip' is for blocks of open_clip itself: expected another name, such as 'clearclip'")
    if how == 'tokens':
        unchanged: Tensor = block(tokens) if rotation is None else block(tokens, rotation)
        return unchanged
    norm_after = isinstance(block, EvaBlockPostNorm)
    attended = _attend_timm(block.attn, tokens if norm_after else block.norm1(tokens), how, rotation)
    attended = block.norm1(attended) if norm_after else _scaled(block, 1, attended)
    change: Tensor = block.drop_path1(attended)
    if how == 'clearclip':
        return change
    tokens = (tokens[:, :1] if how == 'catseg' else tokens) + change
    fed_forward = block.norm2(block.mlp(tokens)) if norm_after else _scaled(block, 2, block.mlp(block.norm2(tokens)))
    outcome: Tensor = tokens + block.drop_path2(fed_forward)
    return outcome


def _scaled(block: Any, branch: int, x: Tensor) -> Tensor:
    """Scale the outcome of the attention (1) or the feed-forward part (2), which blocks of Eva do with a parameter."""
    if hasattr(block, f'ls{branch}'):
        scaled: Tensor = getattr(block, f'ls{branch}')(x)
        return scaled
    gamma = getattr(block, f'gamma_{branch}', None)
    return x if gamma is None else gamma * x


def _attend_timm(attention: Any, tokens: Tensor, how: str, rotation: Tensor | None) -> Tensor:
    query, key, value = _projected(attention, tokens)
    if how in VALUES_ALONE:
        mixed = value.transpose(1, 2).flatten(2)
    else:
        query, key = (
            _rotated(norm(part), rotation) for norm, part in ((attention.q_norm, query), (attention.k_norm, key))
        )
        mixed = _mixed(query, key, value, how)
    mixed = attention.norm(mixed)
    if getattr(attention, 'gate', None) is not None:
        mixed = mixed * attention.gate(tokens).sigmoid()
    outcome: Tensor = attention.proj_drop(attention.proj(mixed))
    return outcome


def _projected(attention: Any, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values, (N, heads, L, D / heads)."""
    if attention.qkv is not None:
        packed = attention.qkv(tokens)
        if getattr(attention, 'q_bias', None) is not None:  # of Eva, which has no bias for keys
            packed = packed + torch.cat([attention.q_bias, attention.k_bias, attention.v_bias])
        parts = packed.chunk(3, -1)
    else:
        parts = tuple(layer(tokens) for layer in (attention.q_proj, attention.k_proj, attention.v_proj))
    query, key, value = (part.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2) for part in parts)
    return query, key, value


def _rotated(x: Tensor, rotation: Tensor | None) -> Tensor:
    """Turn queries or keys of the patches, (N, heads, L, D / heads)."""
    if rotation is None:
        return x
    first = x.shape[2] - rotation.shape[0]
    return torch.cat([x[:, :, :first], apply_rot_embed_cat(x[:, :, first:], rotation)], 2)


def _mixed(query: Tensor, key: Tensor, value: Tensor, how: str) -> Tensor:
    """Return values mixed by the similarity of queries, for ``'sclip'`` of keys too; heads are joined, (N, L, D)."""
    mixed = F.scaled_dot_product_attention(query, query, value)
    if how == 'sclip':
        mixed = mixed + F.scaled_dot_product_attention(key, key, value)
    return mixed.transpose(1, 2).flatten(2)
