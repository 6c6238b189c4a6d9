"""Radius tuner: scaling of the hyperbolic radius of text embeddings, as in HyperCLIP."""

import torch
from torch import Tensor, nn

from hyperbolic_seg.geometry.numeric import full_precision
from hyperbolic_seg.layers.scalars import ScalarParameters
from hyperbolic_seg.options import check_whole


class RadiusTuner(ScalarParameters):
    r"""Scales text embeddings by a block-diagonal matrix in tangent coordinates.

    HyperCLIP (Peng et al., CVPR 2025) scales by the Moebius product with a block-diagonal matrix ``S``.
    Since :math:`S \otimes_c x = \exp_0(S \log_0 x)`, that is the matrix product :math:`S v` in tangent
    coordinates. It changes the hyperbolic radius :math:`2|v|` and, within a block, the direction. The
    parameter is ``S - I``, initially zero, so an untrained tuner returns the frozen embeddings exactly, and
    weight decay pulls towards them.

    Args:
        embed_dims: D, the size of an embedding.
        block_size: Size of a diagonal block, a divisor of D; 128 as published.
        shared_scale: Also learn one factor for all dimensions, initially 1.

    Raises:
        ValueError: ``block_size`` does not divide ``embed_dims``.
    """

    def __init__(self, embed_dims: int, *, block_size: int = 128, shared_scale: bool = False) -> None:
        super().__init__()
        check_whole('embed_dims', embed_dims)
        check_whole('block_size', block_size)
        if embed_dims % block_size:
            raise ValueError(f'block_size must divide embed_dims, got {block_size} for {embed_dims} dimensions')
        self.embed_dims, self.block_size = embed_dims, block_size
        self.delta = nn.Parameter(torch.empty(embed_dims // block_size, block_size, block_size))
        self.log_scale = nn.Parameter(torch.empty(1)) if shared_scale else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the start, at which embeddings stay as they are."""
        nn.init.zeros_(self.delta)
        if self.log_scale is not None:
            nn.init.zeros_(self.log_scale)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return tuned embeddings of the same shape (K, D); autocast does not lower their precision."""
        if embeddings.ndim != 2 or embeddings.shape[1] != self.embed_dims:
            raise ValueError(f'expected embeddings of shape (K, {self.embed_dims}), got {tuple(embeddings.shape)}')
        with full_precision(embeddings.device):
            blocks = embeddings.to(self.delta.dtype).unflatten(1, (-1, self.block_size))
            tuned: Tensor = (blocks + torch.einsum('kbi,boi->kbo', blocks, self.delta)).flatten(1)
            return tuned if self.log_scale is None else tuned * self.log_scale.exp()

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        return f'embed_dims={self.embed_dims}, block_size={self.block_size}, shared_scale={self.log_scale is not None}'
