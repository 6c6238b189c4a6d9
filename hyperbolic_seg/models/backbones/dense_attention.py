"""The last attention block of the vision tower of CLIP, changed so that tokens describe their own patch."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

DENSE = ('maskclip', 'catseg', 'sclip', 'clearclip', 'tokens')


def dense_block(block: Any, tokens: Tensor, how: str) -> Tensor:
    r"""Run the last block of a vision transformer so that every token keeps to its own patch.

    The loss of CLIP looks at the class token alone, so in the last block the patches attend to wherever the whole image
    is summed up. With queries, keys and values :math:`Q, K, V` of the same projections, the attention is

    - ``'maskclip'``: :math:`V`, every token its own value (Zhou, Loy, Dai, ECCV 2022);
    - ``'catseg'``: :math:`V` too, but the residual stream that it is added to is that of the class token, at every
      patch, as in the released code of CAT-Seg (Cho et al., CVPR 2024) and HyperCLIP (Peng et al., CVPR 2025);
    - ``'sclip'``: :math:`(\sigma(QQ^\top/\sqrt d) + \sigma(KK^\top/\sqrt d)) V` (Wang, Mei, Yuille, ECCV 2024);
    - ``'clearclip'``: :math:`\sigma(QQ^\top/\sqrt d) V`, without the residual stream and the feed-forward part (Lan et
      al., ECCV 2024);
    - ``'tokens'``: :math:`\sigma(QK^\top/\sqrt d) V`, the block as it is.

    Args:
        block: A residual attention block of open_clip.
        tokens: Its input, (N, L, D).
        how: One of the names above.

    Returns:
        Its output, (N, L, D).
    """
    if how == 'tokens':
        unchanged: Tensor = block(tokens)
        return unchanged
    attended: Tensor = block.ls_1(_attend(block.attn, block.ln_1(tokens), how))
    if how == 'clearclip':
        return attended
    tokens = (tokens[:, :1] if how == 'catseg' else tokens) + attended
    fed_forward: Tensor = block.ls_2(block.mlp(block.ln_2(tokens)))
    return tokens + fed_forward


def _attend(attention: nn.MultiheadAttention, tokens: Tensor, how: str) -> Tensor:
    projected = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    if how in ('maskclip', 'catseg'):
        mixed = projected.chunk(3, -1)[2]
    else:
        heads = projected.unflatten(-1, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = (part.contiguous() for part in heads.unbind(0))
        mixed = F.scaled_dot_product_attention(query, query, value)
        if how == 'sclip':
            mixed = mixed + F.scaled_dot_product_attention(key, key, value)
        mixed = mixed.transpose(1, 2).flatten(2)
    outcome: Tensor = attention.out_proj(mixed)
    return outcome
