"""Aggregation over the classes at each pixel: linear attention, guided by the text."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyperbolic_seg.geometry.numeric import at_least_float32, full_precision
from hyperbolic_seg.options import check_whole


class ClassAggregation(nn.Module):
    r"""Let classes attend to each other at each pixel, at a cost linear in their number.

    Attention is :math:`\phi(q)^\top \sum_k \phi(k) v^\top / \phi(q)^\top \sum_k \phi(k)` with
    :math:`\phi = \operatorname{elu} + 1` (Katharopoulos et al., ICML 2020). Vocabularies of fewer classes than
    ``padding`` are filled up with a learned token, as in CAT-Seg, so that all lengths look alike. The sums are linear,
    so the token is computed once and counted as often as it is needed.

    Args:
        dims: C, channels.
        guidance_dims: G, channels of the text guidance.
        heads: Number of attention heads.
        pooling: Side of the squares of pixels that are averaged first; the outcome is enlarged again.
        padding: Number of classes up to which a vocabulary is filled up; 0 for none.
        eval_pooling: ``pooling`` in evaluation; ``None`` for the same as in training.
        align_corners: Option of :func:`torch.nn.functional.interpolate`, which enlarges the outcome.

    Raises:
        ValueError: The heads do not divide the channels, or a pooling is not positive.
    """

    def __init__(
        self,
        dims: int,
        guidance_dims: int,
        *,
        heads: int = 4,
        pooling: int = 2,
        padding: int = 256,
        eval_pooling: int | None = None,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if dims % heads:
            raise ValueError(f'heads must divide the channels, got {heads} for {dims}')
        check_whole('pooling', pooling)
        if eval_pooling is not None:
            check_whole('eval_pooling', eval_pooling)
        self.heads, self.padding, self.align_corners = heads, padding, align_corners
        self.train_pooling, self.eval_pooling = pooling, pooling if eval_pooling is None else eval_pooling
        self.norm1, self.norm2 = nn.LayerNorm(dims), nn.LayerNorm(dims)
        self.query, self.key = (nn.Linear(dims + guidance_dims, dims) for _ in range(2))
        self.value = nn.Linear(dims, dims)
        self.mlp = nn.Sequential(nn.Linear(dims, 4 * dims), nn.ReLU(), nn.Linear(4 * dims, dims))
        if padding:
            self.token, self.token_guidance = nn.Parameter(torch.empty(dims)), nn.Parameter(torch.empty(guidance_dims))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return the token to its start; the layers have starts of their own."""
        if self.padding:
            nn.init.zeros_(self.token)
            nn.init.zeros_(self.token_guidance)

    def forward(self, x: Tensor, guidance: Tensor, *, chunk: int | None = None) -> Tensor:
        """Aggregate maps of K classes.

        Args:
            x: (N, K, H, W, C).
            guidance: Of the classes, (N, K, G).
            chunk: Classes that are computed at a time; the outcome is the same.

        Returns:
            (N, K, H, W, C).
        """
        chunk = x.shape[1] if chunk is None else chunk
        chunks = zip(x.split(chunk, 1), guidance.split(chunk, 1), strict=True)
        parts = [(self._pooled(part), text) for part, text in chunks]
        context, total = self._context(parts)
        found = [self._attended(part, text, context, total, x.shape[2:4]) for part, text in parts]
        return x + torch.cat(found, 1)

    @property
    def pooling(self) -> int:
        """Side of the squares of pixels that are averaged, in this mode."""
        return self.train_pooling if self.training else self.eval_pooling

    def _pooled(self, x: Tensor) -> Tensor:
        """Average squares of pixels, cut off at the border: (N, K, h, w, C)."""
        if self.pooling == 1:
            return x
        planes = x.flatten(0, 1).movedim(-1, 1)
        planes = F.avg_pool2d(planes, self.pooling, ceil_mode=True, count_include_pad=False)
        pooled: Tensor = planes.movedim(1, -1).unflatten(0, x.shape[:2])
        return pooled

    def _context(self, parts: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return the means over all classes of key times value, (N, h, w, heads, D, D), and of the keys."""
        classes = sum(part.shape[1] for part, _ in parts)
        sums = [self._key_value(part, text, 1 / max(classes, self.padding)) for part, text in parts]
        if classes < self.padding:
            token = self.token.expand(1, 1, 1, 1, -1)
            share = (self.padding - classes) / self.padding
            sums.append(self._key_value(token, self.token_guidance.expand(1, 1, -1), share))
        contexts, totals = zip(*sums, strict=True)
        return sum(contexts[1:], start=contexts[0]), sum(totals[1:], start=totals[0])

    def _key_value(self, x: Tensor, text: Tensor, share: float) -> tuple[Tensor, Tensor]:
        normed = self.norm1(x)
        key, value = self._features(self.key, normed, text), self.value(normed).unflatten(-1, (self.heads, -1))
        with full_precision(x.device):
            return torch.einsum('nkhwad,nkhwav->nhwadv', key, at_least_float32(value)) * share, key.sum(1) * share

    def _features(self, layer: nn.Linear, normed: Tensor, text: Tensor) -> Tensor:
        """Positive features of queries or keys, (N, K, h, w, heads, D), in full precision."""
        # The share of the text is the same at every pixel, so it is computed once.
        weight, of_text = layer.weight.split([normed.shape[-1], text.shape[-1]], 1)
        found = F.linear(normed, weight, layer.bias) + F.linear(text, of_text)[:, :, None, None]
        return F.elu(at_least_float32(found).unflatten(-1, (self.heads, -1))) + 1

    def _attended(self, x: Tensor, text: Tensor, context: Tensor, total: Tensor, size: torch.Size) -> Tensor:
        """Return what classes gather from all others, at the size before pooling, (N, K, H, W, C)."""
        query = self._features(self.query, self.norm1(x), text)
        weight = (query * total.unsqueeze(1)).sum(-1, keepdim=True)  # positive: both are
        with full_precision(x.device):
            found = torch.einsum('nkhwad,nhwadv->nkhwav', query, context)
        found = found / weight.clamp_min(torch.finfo(weight.dtype).tiny)
        x = x + found.flatten(-2).to(x)
        x = x + self.mlp(self.norm2(x))
        if self.pooling == 1:
            return x
        planes = x.flatten(0, 1).movedim(-1, 1)
        planes = F.interpolate(planes, size=size, mode='bilinear', align_corners=self.align_corners)
        enlarged: Tensor = planes.movedim(1, -1).unflatten(0, x.shape[:2])
        return enlarged
