"""Hyperbolic distances between many vectors and a few rows, from one matrix product."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hyperbolic_seg.geometry.distances import ShortfallDistance, angular_distance, polar_distance
from hyperbolic_seg.geometry.numeric import (
    Gradients,
    Scalar,
    apply,
    at_least_float32,
    curvature_tensor,
    gradients_of,
    readable,
    recomputed_gradients,
    transformed,
)
from hyperbolic_seg.geometry.products import length_and_components
from hyperbolic_seg.geometry.tangent import along, distance, safe_norm, unit

# A cosine from a product is known to the rounding of its type. So that a distance is known to 1e-5, 1 - cos needs a
# subtraction of vectors below this many units, at angles below 0.5 in float32,
_BY_DIFFERENCE = 2.0**20
# and vectors and gradients in float64 below this many, at angles below 0.02.
_IN_FLOAT64 = 2.0**11
# Numbers per portion of nearly parallel pairs, which stay in the cache.
_PORTION = 2**17


def pairwise_distance(v: Tensor, w: Tensor, c: Scalar = 1.0, dim: int = -1) -> Tensor:
    """Return the hyperbolic distance between every vector of ``v`` and every row of ``w``, from one matrix product.

    A cosine from a product is known to the rounding of its type, too little for the distance of nearly parallel
    vectors. So pairs at an angle below 0.5 are computed again from the difference of their directions, and below 0.02
    in float64, with their gradients. Compilers, exporters, the transforms of ``torch.func`` and devices other than CPU
    and CUDA leave this out; :func:`distance` is exact there, but needs D numbers per pair.

    Args:
        v: Tangent vectors, shape (..., D, ...) with D at ``dim``, for example (N, D, H, W).
        w: Prototypes in tangent coordinates, shape (K, D).
        c: Curvature magnitude, positive.
        dim: Dimension of the vectors in ``v``.

    Returns:
        Distances with K in place of D, for example (N, K, H, W). See :func:`polar_distance`.

    Example:
        >>> origin_and_one = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        >>> pairwise_distance(torch.tensor([[-1.0, 0.0]]), origin_and_one)  # through the origin: lengths add up
        tensor([[2., 4.]])
    """
    return length_and_distances(v, w, c, dim)[1]


def length_and_distances(v: Tensor, w: Tensor, c: Scalar, dim: int) -> tuple[Tensor, Tensor]:
    """Return the length of every vector of ``v``, with ``dim`` of size 1, and its :func:`pairwise_distance`."""
    v, w = at_least_float32(v), at_least_float32(w)
    c = curvature_tensor(c, v)
    if not chooses_pairs(v):
        return _from_product(v, w, c, dim)
    length, distances = _LengthAndDistances.apply(v, w, c, dim % v.ndim)
    return length, distances


def chooses_pairs(v: Tensor) -> bool:
    """Return whether pairs can be chosen by their values, and float64 is at hand."""
    return readable(v) and v.device.type in ('cpu', 'cuda')


def nearly_parallel(length: Tensor, components: Tensor, units: float = _BY_DIFFERENCE) -> Tensor:
    """Tell which pairs need a better cosine than that of a product, a mask (..., K, ...).

    Args:
        length: Lengths of the vectors, shape (..., 1, ...).
        components: Their components along unit rows, shape (..., K, ...).
        units: Units of rounding that 1 - cos is below.
    """
    return components > length * (1 - units * torch.finfo(length.dtype).eps)


def _from_product(v: Tensor, w: Tensor, c: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return lengths and distances from the product alone."""
    length, components = length_and_components(v, unit(w), dim)
    return length, polar_distance(length, components, along(safe_norm(w), components, dim), c=c)


def _from_rows(v: Tensor, w: Tensor, c: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """Return lengths and refined distances by operations that autograd can differentiate many times."""
    length, components = length_and_components(v, unit(w), dim)
    distances = polar_distance(length, components, along(safe_norm(w), components, dim), c=c)
    near = nearly_parallel(length, components).nonzero(as_tuple=True)
    rows = v.movedim(dim, -1)[near[:dim] + near[dim + 1 :]]
    exact = distance(rows.double(), w[near[dim]].double(), c.double())
    return length, distances.index_put(near, exact.to(distances))


class _Pairs(NamedTuple):
    """Pairs of columns of a matrix of vectors (D, P) and of rows (D, K), and both columns (D, n)."""

    matrix: int
    rows: Tensor
    columns: Tensor
    v: Tensor
    w: Tensor


class _Near:
    """Nearly parallel pairs of vectors (..., D, ...) and rows (K, D), by lengths and components (..., K, ...)."""

    def __init__(
        self, v: Tensor, length: Tensor, components: Tensor, dim: int, *, units: float = _BY_DIFFERENCE
    ) -> None:
        self.dim, self.in_rows = dim, v.movedim(dim, -1).is_contiguous()
        self.indices: list[tuple[Tensor, ...]] = []
        # Mostly there are none, and the largest components are found several times as fast as all pairs.
        if components.numel() and nearly_parallel(length, components.amax(dim, keepdim=True), units).any():
            mask = nearly_parallel(length, components, units)
            self.indices = [matrix.nonzero(as_tuple=True) for matrix in self.matrices(mask)[1]]

    def matrices(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``x`` (..., K, ...), copied if it is not in the order of ``v``, and a view of it (B, K, P)."""
        if not self.in_rows:
            x = x.contiguous()
            return x, x.view(math.prod(x.shape[: self.dim]), x.shape[self.dim], math.prod(x.shape[self.dim + 1 :]))
        rows = x.movedim(self.dim, -1).contiguous()
        return rows.movedim(-1, self.dim), rows.view(math.prod(rows.shape[:-1]), rows.shape[-1]).t()[None]

    def pairs(self, v: Tensor, w: Tensor) -> Iterator[_Pairs]:
        """Yield portions of the pairs."""
        _, vectors = self.matrices(v)
        others, size = w.t().contiguous(), max(_PORTION // max(w.shape[1], 1), 1)
        for number, (rows, columns) in enumerate(self.indices):
            for of_w, of_v in zip(rows.split(size), columns.split(size), strict=True):
                if len(of_v):
                    chosen = vectors[number].index_select(1, of_v), others.index_select(1, of_w)
                    yield _Pairs(number, of_w, of_v, *chosen)


class _Shortfalls(torch.autograd.Function):
    """Length minus component; of nearly parallel pairs from the difference of their directions."""

    @staticmethod
    def forward(ctx: Any, length: Tensor, components: Tensor, v: Tensor, directions: Tensor, dim: int) -> Tensor:
        ctx.dim = dim
        near = _Near(v, length, components, dim)
        if not near.indices:
            return length - components
        shortfalls, maps = near.matrices(length - components)
        _, lengths = near.matrices(length)
        for pairs in near.pairs(v, directions):
            long = lengths[pairs.matrix, 0, pairs.columns]
            across = torch.linalg.vector_norm(pairs.v.addcmul_(pairs.w, -long), dim=0)
            maps[pairs[:3]] = across.square() / (2 * long)
        return shortfalls

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        return gradient.sum(ctx.dim, keepdim=True), -gradient, None, None, None


class _Exact:
    """Distances of pairs and their gradients, in float64."""

    def __init__(self, pairs: _Pairs, c: Tensor) -> None:
        self.v, self.c = pairs.v.double(), c.double()
        self.length, other = (torch.linalg.vector_norm(x, dim=0) for x in (self.v, pairs.w.double()))
        self.w, self.other = pairs.w.double() / other, other
        # The part of v across w; unlike 1 minus the cosine, its length does not cancel.
        self.across = torch.addcmul(self.v, self.w, -self.length)
        self.versine = self.across.square().sum(0) / (2 * self.length.square())

    def distance(self) -> Tensor:
        """Return the distances (n,)."""
        return angular_distance(self.length, self.versine, self.other, c=self.c)

    def gradients(self, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients by the columns of ``v`` and ``w``, (D, n), and by ``c``."""
        inputs = [x.detach().requires_grad_() for x in (self.length, self.versine, self.other, self.c)]
        with torch.enable_grad():
            distances = angular_distance(*inputs[:3], c=inputs[3])
        by_length, by_versine, by_other, by_c = torch.autograd.grad(distances, inputs, gradient.double())
        by_v = self.v * ((by_length - by_versine * self.versine / self.length) / self.length)
        by_v.addcmul_(self.across, by_versine / self.length.square())
        by_w = self.w * (by_other - by_versine * self.versine / self.other)
        by_w.addcmul_(self.across, -by_versine / (self.other * self.length))
        return by_v, by_w, by_c


class _LengthAndDistances(torch.autograd.Function):
    """Distances by shortfalls, except for the nearest pairs, whose gradients are added in place."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, w: Tensor, c: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        ctx.needed = ctx.needs_input_grad[:3]
        inputs = [x.detach().requires_grad_(wanted) for x, wanted in zip((v, w, c), ctx.needed, strict=True)]
        with torch.set_grad_enabled(any(ctx.needed)):
            directions = unit(inputs[1])
            length, components = length_and_components(inputs[0], directions, dim)
            shortfalls = _Shortfalls.apply(length, components, v, directions.detach(), dim)
            arguments = length, shortfalls, along(safe_norm(inputs[1]), components, dim), inputs[2].sqrt()
        near = _Near(v, length.detach(), components.detach(), dim, units=_IN_FLOAT64)
        ctx.save_for_backward(v, w, c, *(x.detach() for x in arguments))
        ctx.near, ctx.graph = near, (inputs, arguments)
        distances, maps = near.matrices(apply(ShortfallDistance, *(x.detach() for x in arguments)))
        for pairs in near.pairs(v, w):
            maps[pairs[:3]] = _Exact(pairs, c).distance().to(maps)
        return length.detach(), distances

    @staticmethod
    def backward(ctx: Any, by_length: Tensor, by_distances: Tensor) -> Gradients:
        v, w, c, *values = ctx.saved_tensors
        near, gradients = ctx.near, (by_length, by_distances)
        if torch.is_grad_enabled() or transformed(by_distances):

            def from_rows(v: Tensor, w: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
                return _from_rows(v, w, c, near.dim)

            return *recomputed_gradients(from_rows, (v, w, c), ctx.needed, gradients), None
        others = by_distances
        if near.indices:
            others, maps = near.matrices(by_distances.clone())
            for matrix, index in zip(maps, near.indices, strict=True):
                matrix[index] = 0
        inputs, arguments = ctx.graph
        by_v, by_w, by_c = _gradients(inputs, arguments, values, by_length, others)
        if not near.indices:
            return by_v, by_w, by_c, None
        by_v, columns = (None, None) if by_v is None else near.matrices(by_v)
        _, given = near.matrices(by_distances)
        for pairs in near.pairs(v, w):
            of_v, of_w, of_c = _Exact(pairs, c).gradients(given[pairs[:3]])
            if columns is not None:
                columns[pairs.matrix].index_add_(1, pairs.columns, of_v.to(columns))
            if by_w is not None:
                by_w.t().index_add_(1, pairs.rows, of_w.to(by_w))
            if by_c is not None:
                by_c += of_c
        return by_v, by_w, by_c, None


def _gradients(
    inputs: Sequence[Tensor],
    arguments: Sequence[Tensor],
    values: Sequence[Tensor],
    by_length: Tensor,
    by_distances: Tensor,
) -> Gradients:
    """Return the gradients of the length and of distances by inputs from which arguments of some values came."""
    needed = [x.requires_grad for x in arguments]
    pulls = gradients_of(ShortfallDistance, by_distances, values, needed)
    known = [(x, pull) for x, pull in zip(arguments, pulls, strict=True) if pull is not None]
    if arguments[0].requires_grad:
        known.append((arguments[0], by_length))
    outputs, pulls = zip(*known, strict=True)
    chosen = [x for x in inputs if x.requires_grad]
    found = iter(torch.autograd.grad(outputs, chosen, pulls, retain_graph=True))
    return tuple(next(found) if x.requires_grad else None for x in inputs)
