"""HyperCLIP's scaling of the hyperbolic radius of frozen weights, as parametrizations that merge away."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from hyperbolic_seg.geometry import safe_norm
from hyperbolic_seg.geometry.numeric import full_precision

_RIM = 4e-3  # how far from the rim of the unit ball the published code, by geoopt in float32, keeps its points
_DELTA = '.delta'  # how the names of the parameters of a RadiusScaling end
# Names of the layers of an attention that is no nn.MultiheadAttention, such as those of transformers' models.
_SEPARATE = (('query', 'key', 'value'), ('q_proj', 'k_proj', 'v_proj'))

ModuleT = TypeVar('ModuleT', bound=nn.Module)


class RadiusScaling(nn.Module):
    r"""Scale the rows of a weight by a block-diagonal matrix in tangent coordinates.

    HyperCLIP (Peng et al., CVPR 2025) scales by :math:`W' = \log_0(S \otimes_c \exp_0(W))` with a block-diagonal
    matrix ``S``. Since :math:`S \otimes_c x = \exp_0(S \log_0 x)`, that is :math:`W' = W S^T` for every curvature.
    The parameter is ``S - I``, zero at the start, so untrained it returns the weight exactly, and weight decay
    pulls towards it.

    The published code computes on the ball and keeps points off its rim, which cuts rows of the weight, before and
    after, at the length :math:`\operatorname{artanh}(1 - 0.004) / \sqrt{c}`; that is all that its curvature changes.
    With ``curvature`` that is done too.

    A parametrization of :mod:`torch.nn.utils.parametrize`: see :func:`add_radius_scaling`.

    Args:
        in_features: D, the length of a row.
        block_size: B, the size of a diagonal block; it must divide D. The published size is 128.
        parts: P, into how many equal parts the rows are divided, each with its own ``S``. 3 for a packed
            query, key and value weight.
        curvature: c > 0 of the ball whose rim cuts the rows, as published; ``None`` cuts nothing.

    Raises:
        ValueError: ``block_size`` does not divide ``in_features``, or ``parts`` or ``curvature`` is not positive.
    """

    def __init__(
        self, in_features: int, block_size: int = 128, *, parts: int = 1, curvature: float | None = None
    ) -> None:
        super().__init__()
        if curvature is not None and curvature <= 0:
            raise ValueError(f'curvature must be positive, got {curvature}; None cuts no rows')
        if block_size < 1 or in_features % block_size:
            raise ValueError(
                f'block_size must divide the length of the rows, got {block_size} for rows of {in_features}'
            )
        if parts < 1:
            raise ValueError(f'parts must be positive, got {parts}')
        self.in_features, self.block_size, self.parts, self.curvature = in_features, block_size, parts, curvature
        self.delta = nn.Parameter(torch.zeros(parts, in_features // block_size, block_size, block_size))

    def forward(self, weight: Tensor) -> Tensor:
        """Scale a weight of shape (R, D), in float32 at least, under autocast too.

        Returns:
            (R, D), of the weight's dtype.

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
            rows = self._cut(weight.to(dtype))
            blocks = rows.reshape(self.parts, -1, self.in_features // self.block_size, self.block_size)
            moved = torch.einsum('prki,pkoi->prko', blocks, self.delta.to(dtype))
            return self._cut((blocks + moved).reshape(weight.shape)).to(weight.dtype)

    def _cut(self, rows: Tensor) -> Tensor:
        """Shorten rows that reach the rim."""
        if self.curvature is None:
            return rows
        longest = math.atanh(1 - _RIM) / math.sqrt(self.curvature)
        return rows * (longest / safe_norm(rows, keepdim=True).clamp_min(longest))

    def extra_repr(self) -> str:
        """Name the sizes."""
        sizes = f'in_features={self.in_features}, block_size={self.block_size}, parts={self.parts}'
        return sizes if self.curvature is None else f'{sizes}, curvature={self.curvature}'


def add_radius_scaling(module: ModuleT, block_size: int = 128, *, curvature: float | None = None) -> ModuleT:
    """Freeze the weights of a module and give each a trainable :class:`RadiusScaling`, as HyperCLIP does to CLIP's.

    Of ``nn.MultiheadAttention`` these are the weights of query, key and value, packed or not, each with its own
    matrix. Biases and the output projection stay as they are, trainable or not.

    The scaled weight is computed whenever it is read, which attention does several times in a forward pass:
    :func:`torch.nn.utils.parametrize.cached` makes that one, :func:`merge_radius_scaling` none.

    Args:
        module: ``nn.Linear`` or ``nn.MultiheadAttention``. It is changed in place.
        block_size: The size of a diagonal block of the scaling matrix.
        curvature: As for :class:`RadiusScaling`.

    Returns:
        The module.

    Raises:
        TypeError: The module is of another kind.
        ValueError: ``block_size`` does not divide the length of the rows of a weight, or a weight is parametrized
            already. The module is left as it was.
    """
    scalings = {}
    for name, parts in _weights(module).items():
        if parametrize.is_parametrized(module, name):
            raise ValueError(
                f'{name} of this {_kind(module)} is parametrized already: expected a plain weight; remove what is '
                'there first, a RadiusScaling with merge_radius_scaling(module)'
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
    """Turn the scaled weights of a module into plain ones, with the names they had, at no cost in a forward pass.

    The merged weights are new parameters and stay frozen; weights tied to the original ones keep their values.

    Args:
        module: What :func:`add_radius_scaling` returned. It is changed in place.

    Returns:
        The module.

    Raises:
        TypeError: The module is neither ``nn.Linear`` nor ``nn.MultiheadAttention``.
        ValueError: No weight of it is scaled, or one has other parametrizations too.
    """
    found = {name: _parametrizations(module, name) for name in _weights(module)}
    names = [name for name, those in found.items() if any(isinstance(one, RadiusScaling) for one in those)]
    if not names:
        raise ValueError(
            f'this {_kind(module)} has no RadiusScaling to merge: expected one whose weights are scaled; '
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
    tower: ModuleT, block_size: int = 128, *, curvature: float | None = None, out_proj: bool = False
) -> ModuleT:
    """Call :func:`add_radius_scaling` on the queries, keys and values of every attention of a transformer.

    On both towers of CLIP's ViT-B/16 with blocks of 128 that makes the 5,898,240 trainable parameters of the paper.

    Args:
        tower: A module with some ``nn.MultiheadAttention`` in it, or some attention with ``nn.Linear`` layers named
            ``query``, ``key``, ``value`` or ``q_proj``, ``k_proj``, ``v_proj``. It is changed in place.
        block_size: As there.
        curvature: As there; published are 1.0 for the text and 0.01 for the picture.
        out_proj: Also scale the output projections, which the paper does not; of ``nn.MultiheadAttention`` only.

    Returns:
        The tower.

    Raises:
        ValueError: There is no attention, or ``block_size`` does not divide the length of its rows.
    """
    for module in _attentions(tower, out_proj=out_proj):
        add_radius_scaling(module, block_size, curvature=curvature)
    return tower


def merge_tower(tower: ModuleT) -> ModuleT:
    """Call :func:`merge_radius_scaling` on all that is scaled in a tower; return it, changed in place."""
    names = [name for name, _ in tower.named_parameters() if name.endswith(_DELTA)]
    scaled = {name.split('parametrizations.')[0].rstrip('.') for name in names}
    if not scaled:
        raise ValueError(f'this {_kind(tower)} has no RadiusScaling to merge: call add_to_tower(tower) first')
    for name in sorted(scaled):
        merge_radius_scaling(tower.get_submodule(name))
    return tower


def load_tower(tower: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load plain weights into a tower, below its scaling where it has one, which stays as it is."""
    own = tower.state_dict()
    places = {re.sub(r'parametrizations\.(\w+)\.original$', r'\1', name): name for name in own}
    scaling = {name: value for name, value in own.items() if re.search(r'parametrizations\.\w+\.\d', name)}
    tower.load_state_dict({places.get(name, name): value for name, value in state.items()} | scaling)


def _attentions(tower: nn.Module, *, out_proj: bool) -> list[nn.Module]:
    """Return the modules that hold the weights of queries, keys and values, and of the output."""
    whole = [module for module in tower.modules() if isinstance(module, nn.MultiheadAttention)]
    separate = list(_separate(tower))
    if not whole and not separate:
        raise ValueError(f'a {_kind(tower)} has no nn.MultiheadAttention, whose weights could be scaled')
    if out_proj and separate:
        raise ValueError(f'out_proj is of nn.MultiheadAttention, a {_kind(tower)} has other attention: leave it out')
    return [*whole, *separate, *(module.out_proj for module in whole if out_proj)]


def _separate(tower: nn.Module) -> Iterator[nn.Linear]:
    for module in tower.modules():
        for names in _SEPARATE:
            layers = [getattr(module, name, None) for name in names]
            yield from (layer for layer in layers if isinstance(layer, nn.Linear))


def _weights(module: nn.Module) -> dict[str, int]:
    """Return the names of the weights to scale and how many parts the rows of each have."""
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
