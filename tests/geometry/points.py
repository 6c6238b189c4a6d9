"""Random points in tangent coordinates, and geoopt's manifolds in the type of the test."""

import geoopt
import torch
from hypothesis import strategies as st

# Never only 1, which hides most mistakes with the curvature.
curvatures = st.floats(-2, 0.6).map(lambda exponent: 10**exponent)
dims = st.integers(1, 512)
few_dims = st.integers(1, 16)
seeds = st.integers(0, 2**32 - 1)


def vectors(seed: int, *shape: int, length: float = 1.0) -> torch.Tensor:
    """Random directions with lengths up to ``length``, float64."""
    generator = torch.Generator().manual_seed(seed)
    direction = torch.nn.functional.normalize(torch.randn(shape, generator=generator, dtype=torch.float64), dim=-1)
    return direction * length * torch.rand(*shape[:-1], 1, generator=generator, dtype=torch.float64)


def near(seed: int, *shape: int, c: float, length: float = 1.5) -> torch.Tensor:
    """Vectors with ``sqrt(c) |v| <= length``: up to 1.5 geoopt's own ball is exact in float64."""
    return vectors(seed, *shape, length=length / c**0.5)


def far(seed: int, *shape: int, rho: float, c: float) -> torch.Tensor:
    """Vectors with exactly ``2 sqrt(c) |v| = rho``."""
    return torch.nn.functional.normalize(vectors(seed, *shape), dim=-1) * rho / (2 * c**0.5)


def ball(c: float) -> geoopt.PoincareBall:
    return geoopt.PoincareBall(c=torch.tensor(c, dtype=torch.float64))  # of a float it would make float32


def hyperboloid(c: float) -> geoopt.Lorentz:
    return geoopt.Lorentz(k=torch.tensor(1 / c, dtype=torch.float64))
