"""Measure the relative error of the geometry in float32, against float64 on the same float32 input.

    python tools/benchmarks/accuracy.py

Pairs of vectors with 64 components lie at a radius rho and at an angle of 1, 0.1, 0.01 or 0.001 to each other, of which
the second is 2 % shorter. A figure is the largest error of 1,000 pairs at all curvatures, 0.01, 0.7 and 2.3, over the
length of the right result; of 100 pairs for pairwise_distance and mlr_logits, which take one pair at a time here. What
the rounding of the input changes is not counted as an error.
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize

from hyperbolic_seg import geometry

RADII = (0.01, 1.0, 5.0, 10.0, 20.0, 40.0, 60.0, 80.0)
ANGLES = (1.0, 0.1, 0.01, 0.001)
CURVATURES = (0.01, 0.7, 2.3)
PAIRS, DIMENSIONS = 1000, 64
FUNCTIONS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    'distance': geometry.distance,
    'pairwise_distance': lambda v, w, c: torch.cat(
        [geometry.pairwise_distance(v[i : i + 1], w[i : i + 1], c)[0] for i in range(0, len(v), 10)]
    ),
    'mlr_logits': lambda v, w, c: torch.cat(
        [geometry.mlr_logits(v[i : i + 1], w[i : i + 1], w.new_zeros(1), c)[0] for i in range(0, len(v), 10)]
    ),
    'exterior_angle': geometry.exterior_angle,
    'half_aperture': lambda v, w, c: geometry.half_aperture(v, c),
    'mobius_add': lambda v, w, c: geometry.mobius_add(-v, w, c),
    'geodesic': lambda v, w, c: geometry.geodesic(v, w, 0.3, c),
    'midpoint': lambda v, w, c: geometry.midpoint(torch.stack([v, w], 1), None, c),
    'transport_to_origin': lambda v, w, c: geometry.transport_to_origin(v, w, c),
    'transport_from_origin': lambda v, w, c: geometry.transport_from_origin(v, w, c),
}


def draw_pairs(rho: float, angle: float, c: float) -> tuple[Tensor, Tensor]:
    """Return two batches of float32 vectors (N, D) at an angle to each other."""
    generator = torch.Generator().manual_seed(0)
    first, other = (
        normalize(torch.randn(PAIRS, DIMENSIONS, generator=generator, dtype=torch.float64), dim=1) for _ in range(2)
    )
    across = normalize(other - (other * first).sum(1, keepdim=True) * first, dim=1)
    turned = first * torch.cos(torch.tensor(angle)) + across * torch.sin(torch.tensor(angle))
    length = rho / (2 * c**0.5)
    return (length * first).float(), (0.98 * length * turned).float()


def largest_error(name: str, rho: float, angle: float) -> float:
    """Return the largest relative error of a function over curvatures."""
    largest = 0.0
    for c in CURVATURES:
        v, w = draw_pairs(rho, angle, c)
        found, right = FUNCTIONS[name](v, w, c).double(), FUNCTIONS[name](v.double(), w.double(), c)
        difference, size = (found - right).abs(), right.abs()
        if right.ndim > 1:
            difference, size = difference.norm(dim=-1), right.norm(dim=-1)
        largest = max(largest, (difference / size).max().item())
    return largest


def main() -> None:
    """Print a table for each angle."""
    for angle in ANGLES:
        print(f'\nAngle {angle:g}\n\n| function | {" | ".join(f"rho {rho:g}" for rho in RADII)} |')
        print(f'|---|{"---|" * len(RADII)}')
        errors = {pair: largest_error(*pair, angle) for pair in itertools.product(FUNCTIONS, RADII)}
        for name in FUNCTIONS:
            print(f'| `{name}` | {" | ".join(f"{errors[name, rho]:.0e}" for rho in RADII)} |')


if __name__ == '__main__':
    main()
