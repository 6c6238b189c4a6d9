"""Changes to a model that let an exported file take images of any height and width."""

import copy
import math
from fractions import Fraction
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.utils import Upsample
from torch import Tensor, nn

__all__ = ['step_of_maps', 'with_symbolic_sizes']

_PROBE = 2**9 * 3 * 5 * 7  # Side of an image, in which a map of any usual stride has a whole number of places.
_LARGEST = 256


def step_of_maps(*modules: nn.Module) -> int:
    """Return the number of pixels, down and across, in which every feature map has a whole number of places.

    It is the largest stride where strides are powers of one number.

    Args:
        modules: Called one after another: a backbone, and a neck or none. They run on the meta device, where an image
            of any size costs nothing, and are not changed.

    Raises:
        ValueError: They do not run there, have no maps that grow with the image, or need too large a number.
    """
    smaller, larger = (_sides(modules, side) for side in (_PROBE, 2 * _PROBE))
    growths = [after - before for before, after in zip(smaller, larger, strict=True) if after > before]
    if not growths:
        raise ValueError('the backbone has no map that grows with the image: give a divisor')
    step = math.lcm(*(Fraction(_PROBE, growth).numerator for growth in growths))
    if step > _LARGEST:
        raise ValueError(f'height and width would have to be multiples of {step}, for the smallest map: give a divisor')
    return step


def _sides(modules: tuple[nn.Module, ...], side: int) -> list[int]:
    """Return the height of every square map that is computed from an image (1, 3, side, side)."""
    found: list[int] = []

    def note(_: nn.Module, __: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] == output.shape[3]:
            found.append(output.shape[2])

    maps: Any = torch.empty(1, 3, side, side, device='meta')
    copies = [copy.deepcopy(module).to('meta') for module in modules]
    for module in (part for one in copies for part in one.modules()):
        module.register_forward_hook(note)
    try:
        with torch.no_grad():
            for module in copies:
                maps = module(maps)
    except Exception as error:  # whatever a backbone does with data, which there is none of
        names = ', '.join(type(module).__name__ for module in modules)
        reason = str(error).partition('\n')[0]
        raise ValueError(
            f'cannot infer the step of height and width from {names}: give a divisor ({reason})'
        ) from error
    return found


class _Enlarge(nn.Module):
    """Upsampling by a whole factor, whose sizes stay symbols when traced."""

    def __init__(self, upsample: Upsample) -> None:
        super().__init__()
        self.factor = int(upsample.scale_factor)
        self.mode, self.align_corners = upsample.mode, upsample.align_corners

    def forward(self, x: Tensor) -> Tensor:
        size = [side * self.factor for side in x.shape[2:]]
        return F.interpolate(x, size=size, mode=self.mode, align_corners=self.align_corners)


def _attention(
    attention: Any, query: Tensor, key: Tensor, value: Tensor, *_: Any, **options: Any
) -> tuple[Tensor, None]:
    """Attend as torch's MultiheadAttention does without a mask, to tokens (N, L, D), or (L, N, D) without batch_first.

    The forward pass of torch puts the tokens first, and its projection then asks if there is more than one image.

    Raises:
        ValueError: There is a mask.
    """
    if masks := [name for name in ('attn_mask', 'key_padding_mask') if options.get(name) is not None]:
        raise ValueError(f'cannot export a MultiheadAttention with {" and ".join(masks)}')
    images_first = (x if attention.batch_first else x.transpose(0, 1) for x in (query, key, value))
    weights = attention.in_proj_weight.unflatten(0, (3, -1))
    biases = (None,) * 3 if attention.in_proj_bias is None else attention.in_proj_bias.unflatten(0, (3, -1))
    heads = [
        F.linear(tokens, weight, bias).unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)
        for tokens, weight, bias in zip(images_first, weights, biases, strict=True)
    ]
    mixed: Tensor = attention.out_proj(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))
    return (mixed if attention.batch_first else mixed.transpose(0, 1)), None


class _AdaptivePool(nn.Module):
    """Adaptive average pooling by a mean over rows and one over columns, as torch traces one size of it alone."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        return self._means(x.shape[2], x) @ x @ self._means(x.shape[3], x).T

    def _means(self, length: int, x: Tensor) -> Tensor:
        """Return the matrix (count, length) that averages places into bins, as PyTorch documents them."""
        bins, places = torch.arange(self.count, device=x.device)[:, None], torch.arange(length, device=x.device)
        first, past = bins * length // self.count, ((bins + 1) * length + self.count - 1) // self.count
        inside = ((places >= first) & (places < past)).to(x.dtype)
        return inside / inside.sum(1, keepdim=True)


def _contiguous(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Return inputs of a convolution in the plain order; of another one it asks if there is more than one image."""
    return tuple(one.contiguous() for one in inputs)


def with_symbolic_sizes(module: nn.Module) -> nn.Module:
    """Copy a module and change what turns sizes into constants of a trace.

    These are MMSegmentation's Upsample, convolutions of maps that were permuted, attention and adaptive pooling.
    """
    module = copy.deepcopy(module)
    for parent in list(module.modules()):
        if isinstance(parent, nn.Conv2d):
            parent.register_forward_pre_hook(_contiguous)
        elif isinstance(parent, nn.MultiheadAttention):
            _check_attention(parent)
            attention: Any = parent
            attention.forward = partial(_attention, parent)
        for name, child in parent.named_children():
            factor, size = getattr(child, 'scale_factor', None), getattr(child, 'output_size', None)
            if isinstance(child, Upsample) and isinstance(factor, float) and factor.is_integer():
                setattr(parent, name, _Enlarge(child))
            elif isinstance(child, nn.AdaptiveAvgPool2d) and isinstance(size, int) and size > 1:
                setattr(parent, name, _AdaptivePool(size))
    return module


def _check_attention(attention: nn.MultiheadAttention) -> None:
    """Refuse options of attention that no backbone of MMSegmentation or CLIP uses."""
    if attention.in_proj_weight is None or attention.bias_k is not None or attention.add_zero_attn:
        raise ValueError('cannot export a MultiheadAttention with kdim, vdim, add_bias_kv or add_zero_attn')
