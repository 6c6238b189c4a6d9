"""Time pairwise_distance, with gradients, against the same distances from the matrix product alone.

    OMP_NUM_THREADS=1 python tools/benchmarks/pairwise_distance.py

The product is too coarse for nearly parallel vectors, which pairwise_distance computes again. The vectors are two maps
of 64 x 64 pixels; a share of the pixels is at an angle of about 0.05 to one of the rows, and one in a thousand of them
at 0.005. Both take turns; a figure is the ratio of the medians of their CPU time.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from hyperbolic_seg.geometry import length_and_components, pairwise_distance, polar_distance, safe_norm, unit

SHAPES = ((64, 19), (512, 19), (512, 150), (256, 5))  # dimensions, rows
SHARES = (0.0, 0.001, 0.01, 0.1, 1.0)
ROUNDS = 15


def from_product(v: Tensor, w: Tensor, c: float) -> Tensor:
    """Return distances (N, K, H, W) whose cosines come from the product alone."""
    length, components = length_and_components(v, unit(w), 1)
    return polar_distance(length, components, safe_norm(w).view(1, -1, 1, 1), c=c)


def refined(v: Tensor, w: Tensor, c: float) -> Tensor:
    """Return distances (N, K, H, W)."""
    return pairwise_distance(v, w, c, dim=1)


def draw(dims: int, rows: int, share: float) -> tuple[Tensor, Tensor]:
    """Return vectors (N, D, H, W), a share of which is near a row, and the rows (K, D)."""
    torch.manual_seed(0)
    w, v = torch.randn(rows, dims), torch.randn(2, dims, 64, 64)
    near = torch.rand(2, 1, 64, 64) < share
    spread = torch.where(torch.rand(2, 1, 64, 64) < 1e-3, 0.005, 0.05)
    of_row = w[torch.randint(0, rows, (2, 64, 64))].movedim(-1, 1)
    return torch.where(near, of_row + spread * v, v).contiguous().requires_grad_(), w.requires_grad_()


def seconds(function: Callable[[Tensor, Tensor, float], Tensor], v: Tensor, w: Tensor) -> float:
    """Return the CPU time of distances and their gradients."""
    since = time.process_time()
    torch.autograd.grad(function(v, w, 1 / (2 * v.shape[1])).sum(), (v, w))
    return time.process_time() - since


def main() -> None:
    """Print a table."""
    print(f'| dimensions, rows | {" | ".join(f"{share:.1%} near" for share in SHARES)} |\n|---|{"---|" * len(SHARES)}')
    for dims, rows in SHAPES:
        ratios = []
        for share in SHARES:
            v, w = draw(dims, rows, share)
            times = [(seconds(refined, v, w), seconds(from_product, v, w)) for _ in range(ROUNDS)]
            ratios.append(statistics.median(a for a, _ in times) / statistics.median(b for _, b in times))
        print(f'| {dims}, {rows} | {" | ".join(f"{ratio:.2f}" for ratio in ratios)} |', flush=True)


if __name__ == '__main__':
    main()
