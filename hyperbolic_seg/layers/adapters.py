"""Radius scaling of frozen weights as in HyperCLIP, by parametrizations that can be merged."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hyperbolic_seg.geometry import safe_norm
from hyperbolic_seg.geometry.numeric import full_precision

# Distances that the released code keeps from the rim of the unit ball, of rows before and after scaling.
_RIM_BEFORE, _RIM_AFTER = 1e-5, 1e-3
_DELTA = '.delta'  # suffix of the parameter names of a RadiusScaling
# Names of the layers in other attention modules than nn.MultiheadAttention, such as those of transformers.
_SEPARATE = (('query', 'key', 'value'), ('q_proj', 'k_proj', 'v_proj'))

ModuleT = TypeVar('ModuleT', bound=nn.Module)


class RadiusScaling(nn.Module):
    r"""Scales the rows of a weight by a block-diagonal matrix in tangent coordinates.

    HyperCLIP (Peng et al., CVPR 2025) scales by :math:`W' = \log_0(S \otimes_c \exp_0(W))` with a block-diagonal
    matrix ``S``. Since :math:`S \otimes_c x = \exp_0(S \log_0 x)`, that is :math:`W' = W S^T` for every curvature.
    The parameter is ``S - I``, initially zero, so an untrained scaling returns the weight exactly, and weight decay
    pulls towards it.

    The released code computes on the ball and keeps points away from its rim. That limits the length of rows before
    scaling to :math:`\operatorname{artanh}(1 - 10^{-5}) / \sqrt{c}` and after it to
    :math:`\operatorname{artanh}(1 - 10^{-3}) / \sqrt{c}`, which is 3.8002 for ``c = 1`` and 38.002 for ``c = 0.01``,
    the only effect of its curvature. ``curvature`` applies the same limits.

    It is a parametrization of :mod:`torch.nn.utils.parametrize`; see :func:`add_radius_scaling`.

    Args:
        in_features: D, the length of a row.
        block_size: B, the size of a diagonal block, a divisor of D; 128 as published.
        parts: P, the number of equal parts of the rows, each with its own ``S``; 3 for a packed weight of queries,
            keys and values.
        curvature: c > 0 of the ball whose rim limits the rows, as released; ``None`` for no limit.

    Raises:
        ValueError: ``block_size`` does not divide ``in_features``, or ``parts`` or ``curvature`` is not positive.
    """

    def __init__(
        self, in_features: int, block_size: int = 128, *, parts: int = 1, curvature: float | None = None
    ) -> None:
        super().__init__()
        if curvature is not None and curvature <= 0:
            raise ValueError(f'curvature must be positive, got {curvature}; None limits no rows')
        if block_size < 1 or in_features % block_size:
            raise ValueError(
                f'block_size must divide the length of the rows, got {block_size} for rows of {in_features}'
            )
        if parts < 1:
            raise ValueError(f'parts must be positive, got {parts}')
        self.in_features, self.block_size, self.parts, self.curvature = in_features, block_size, parts, curvature
        self.delta = nn.Parameter(torch.zeros(parts, in_features // block_size, block_size, block_size))

    def forward(self, weight: Tensor) -> Tensor:
        """Scale a weight of shape (R, D), in at least float32, also under autocast.

        Returns:
            Weight of the same shape and type.

        Raises:
            ValueError: The weight has another shape, or its rows do not divide into ``parts``.
        """
        if weight.ndim != 2 or weight.shape[1] != self.in_features or weight.shape[0] % self.parts:
            raise ValueError(
                f'expected a weight of shape (R, {self.in_features}), R a multiple of {self.parts}, '
                f'got {tuple(weight.shape)}'
            )
        dtype = torch.promote_types(torch.promote_types(weight.dtype, self.delta.dtype), torch.float32)
        with full_precision(weight.device):
            rows = self._cut(weight.to(dtype), _RIM_BEFORE)
            blocks = rows.reshape(self.parts, -1, self.in_features // self.block_size, self.block_size)
            moved = torch.einsum('prki,pkoi->prko', blocks, self.delta.to(dtype))
            return self._cut((blocks + moved).reshape(weight.shape), _RIM_AFTER).to(weight.dtype)

    def _cut(self, rows: Tensor, rim: float) -> Tensor:
        """Shorten rows that come closer to the rim of the unit ball than a distance."""
        if self.curvature is None:
            return rows
        longest = math.atanh(1 - rim) / math.sqrt(self.curvature)
        return rows * (longest / safe_norm(rows, keepdim=True).clamp_min(longest))

    def extra_repr(self) -> str:
        """Return the sizes for ``repr``."""
        sizes = f'in_features={self.in_features}, block_size={self.block_size}, parts={self.parts}'
        return sizes if self.curvature is None else f'{sizes}, curvature={self.curvature}'


def add_radius_scaling(module: ModuleT, block_size: int = 128, *, curvature: float | None = None) -> ModuleT:
    """Freeze the weights of a module and add a trainable :class:`RadiusScaling` to each.

    ``nn.MultiheadAttention`` has weights of queries, keys and values, packed or not; each gets its own matrix. Biases
    and the output projection do not change.

    A scaled weight is computed at every access, and attention accesses it several times per forward pass.
    :func:`torch.nn.utils.parametrize.cached` reduces that to one computation, :func:`merge_radius_scaling` to none.

    Args:
        module: ``nn.Linear`` or ``nn.MultiheadAttention``, changed in place.
        block_size: Size of a diagonal block of the scaling matrix.
        curvature: Curvature magnitude of the ball that limits the rows, see :class:`RadiusScaling`.

    Returns:
        The module.

    Raises:
        TypeError: The module has another type.
        ValueError: ``block_size`` does not divide the length of a row, or a weight is parametrized already. The module
            is unchanged.
    """
    scalings = {}
    for name, parts in _weights(module).items():
        if parametrize.is_parametrized(module, name):
            raise ValueError(
                f'{name} of this {_kind(module)} is parametrized already: expected a plain weight; remove the '
                'parametrization first, a RadiusScaling with merge_radius_scaling(module)'
            )
        weight = getattr(module, name)
        dtype = torch.promote_types(weight.dtype, torch.float32)
        scaling = RadiusScaling(weight.shape[1], block_size, parts=parts, curvature=curvature)
        scalings[name] = scaling.to(weight.device, dtype)
    for name, scaling in scalings.items():
        getattr(module, name).requires_grad_(False)
        parametrize.register_parametrization(module, name, scaling)
    return module


@torch.no_grad()
def merge_radius_scaling(module: ModuleT) -> ModuleT:
    """Merge the scaling of a module into plain weights of the original names, which cost nothing extra.

    Merged weights are new, frozen parameters; weights tied to the original ones keep their values.

    Args:
        module: Module with scaled weights, changed in place.

    Returns:
        The module.

    Raises:
        TypeError: The module is neither ``nn.Linear`` nor ``nn.MultiheadAttention``.
        ValueError: No weight is scaled, or one has further parametrizations.
    """
    found = {name: _parametrizations(module, name) for name in _weights(module)}
    names = [name for name, those in found.items() if any(isinstance(one, RadiusScaling) for one in those)]
    if not names:
        raise ValueError(
            f'this {_kind(module)} has no RadiusScaling to merge: expected scaled weights; '
            'call add_radius_scaling(module) first, or leave it out'
        )
    for name in names:
        if len(found[name]) > 1:
            raise ValueError(
                f'{name} of this {_kind(module)} has parametrizations beside its RadiusScaling: expected none; '
                'torch.nn.utils.parametrize.remove_parametrizations merges them all'
            )
    for name in names:
        merged = getattr(module, name).detach().clone()
        parametrize.remove_parametrizations(module, name, leave_parametrized=False)
        setattr(module, name, nn.Parameter(merged, requires_grad=False))
    return module


def add_to_tower(
    tower: ModuleT,
    block_size: int = 128,
    *,
    curvature: float | None = None,
    blocks: Sequence[int] | None = None,
    out_proj: bool = False,
) -> ModuleT:
    """Add :func:`add_radius_scaling` to the queries, keys and values of every attention module of a transformer.

    In both towers of CLIP's ViT-B/16, blocks of 128 give the 5,898,240 trainable parameters of the paper.

    Args:
        tower: Module that contains ``nn.MultiheadAttention``, or attention with ``nn.Linear`` layers named ``query``,
            ``key``, ``value`` or ``q_proj``, ``k_proj``, ``v_proj``; changed in place.
        block_size: Size of a diagonal block of the scaling matrices.
        curvature: Curvature magnitude of the ball that limits the rows; 1.0 for text and 0.01 for images as published.
        blocks: Indices of the residual attention blocks to scale, from the end if negative; ``None`` for all.
        out_proj: Also scale the output projections of ``nn.MultiheadAttention``, which the paper does not.

    Returns:
        The tower.

    Raises:
        ValueError: There is no attention module, ``block_size`` does not divide the length of its rows, or ``blocks``
            names none or one that does not exist.
    """
    for module in _attentions(tower, blocks, out_proj=out_proj):
        add_radius_scaling(module, block_size, curvature=curvature)
    return tower


def merge_tower(tower: ModuleT) -> ModuleT:
    """Apply :func:`merge_radius_scaling` to all scaled modules of a tower, in place; return the tower."""
    names = [name for name, _ in tower.named_parameters() if name.endswith(_DELTA)]
    scaled = {name.split('parametrizations.')[0].rstrip('.') for name in names}
    if not scaled:
        raise ValueError(f'this {_kind(tower)} has no RadiusScaling to merge: call add_to_tower(tower) first')
    for name in sorted(scaled):
        merge_radius_scaling(tower.get_submodule(name))
    return tower


def load_tower(tower: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load plain weights into a tower, under its scaling if it has one; the scaling does not change."""
    own = tower.state_dict()
    places = {re.sub(r'parametrizations\.(\w+)\.original$', r'\1', name): name for name in own}
    scaling = {name: value for name, value in own.items() if re.search(r'parametrizations\.\w+\.\d', name)}
    tower.load_state_dict({places.get(name, name): value for name, value in state.items()} | scaling)


def _attentions(tower: nn.Module, blocks: Sequence[int] | None, *, out_proj: bool) -> list[nn.Module]:
    """Return the modules with the weights of queries, keys and values, and with those of the outputs if asked for."""
    found = [layers for module in tower.modules() if (layers := _layers(module))]
    if not found:
        raise ValueError(f'a {_kind(tower)} has no nn.MultiheadAttention, whose weights could be scaled')
    if blocks is not None:
        found = [found[index] for index in _indices(blocks, len(found))]
    layers = [layer for block in found for layer in block]
    whole = [layer for layer in layers if isinstance(layer, nn.MultiheadAttention)]
    if out_proj and len(whole) < len(layers):
        raise ValueError(f'out_proj needs nn.MultiheadAttention, a {_kind(tower)} has other attention: leave it out')
    return [*layers, *(module.out_proj for module in whole if out_proj)]


def _layers(module: nn.Module) -> list[nn.Module]:
    """Return what holds the weights of an attention module: itself, or its layers; nothing if it is none."""
    if isinstance(module, nn.MultiheadAttention):
        return [module]
    layers = (getattr(module, name, None) for names in _SEPARATE for name in names)
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def _indices(blocks: Sequence[int], count: int) -> list[int]:
    """Return indices from 0 on, in order."""
    if not blocks or not all(isinstance(index, int) and -count <= index < count for index in blocks):
        raise ValueError(
            f'blocks={blocks!r}: expected indices from {-count} to {count - 1} of the {count} attention blocks, '
            'or None for all'
        )
    return sorted({index % count for index in blocks})


def _weights(module: nn.Module) -> dict[str, int]:
    """Return the names of the weights to scale, with the number of parts of each."""
    if isinstance(module, nn.Linear):
        return {'weight': 1}
    if isinstance(module, nn.MultiheadAttention):
        if module.in_proj_weight is not None:
            return {'in_proj_weight': 3}
        return {'q_proj_weight': 1, 'k_proj_weight': 1, 'v_proj_weight': 1}
    raise TypeError(
        f'a {_kind(module)} has no weights to scale: expected nn.Linear or nn.MultiheadAttention; '
        'pass the layers of a model one by one'
    )


def _parametrizations(module: nn.Module, name: str) -> list[nn.Module]:
    if not parametrize.is_parametrized(module, name):
        return []
    return list(module.get_submodule(f'parametrizations.{name}').children())


def _kind(module: nn.Module) -> str:
    return parametrize.type_before_parametrizations(module).__name__
