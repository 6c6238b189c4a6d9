"""Adaptation: what the pictures and the labels of one camera change in a model, in a small file beside it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from hyperbolic_seg.engine import load_from_safetensors
from hyperbolic_seg.files import write_whole
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.models.refinement import OddsChange

__all__ = ['Adaptation', 'mix_statistics']

_FORMAT = '1'
_MOST_BYTES = 2**20


@dataclass(frozen=True)
class Adaptation:
    """What one camera changes in a model: the statistics of its batch norms, and the odds of two kinds of pixels.

    Args:
        model: SHA-256 of the file of the weights that it was made with. It fits no others.
        statistics: Means and variances of batch norms by their name in the state dict; empty to keep those of the
            model.
        odds: A change of odds; ``None`` for none.
        about: Figures for people, such as the numbers of pictures.
    """

    model: str
    statistics: Mapping[str, Tensor] = field(default_factory=dict)
    odds: OddsChange | None = None
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, file: str | Path) -> 'Adaptation':
        """Read a file of :meth:`save`. It runs no code.

        Raises:
            OSError: The file cannot be opened.
            ValueError: It is too large, damaged, or no adaptation.
        """
        if Path(file).is_file() and (size := Path(file).stat().st_size) > _MOST_BYTES:
            raise ValueError(f'{file} has {size} bytes: an adaptation has at most {_MOST_BYTES}')
        found = load_from_safetensors(str(file))
        kept = found['meta'].get('adaptation')
        if kept is None:
            raise ValueError(f'{file} is no adaptation: expected a file of hyperbolic-seg adapt')
        try:
            about = json.loads(kept)
            if about['format'] != _FORMAT:
                raise ValueError(f'of format {about["format"]!r}, expected {_FORMAT!r}: update hyperbolic_seg')
            odds = about['odds'] and OddsChange(
                nodes=_pair(about['odds']['nodes']),
                scale=float(about['odds']['scale']),
                colors=tuple(map(float, about['odds']['colors'])),
                offset=float(about['odds']['offset']),
            )
            return cls(str(about['model']), found['state_dict'], odds, dict(about['about']))
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{file} is a damaged adaptation: {error}') from error

    def save(self, file: str | Path) -> None:
        """Write a safetensors file.

        Raises:
            OSError: The file cannot be written.
        """
        odds = self.odds and dict(
            nodes=self.odds.nodes, scale=self.odds.scale, colors=self.odds.colors, offset=self.odds.offset
        )
        kept = dict(format=_FORMAT, model=self.model, odds=odds, about=dict(self.about))
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.statistics.items()}
        write_whole(file, save(tensors, metadata=dict(adaptation=json.dumps(kept, allow_nan=False))))

    def check_model(self, sha256: str | None) -> None:
        """Check that it was made with these weights.

        Raises:
            ValueError: It was not.
        """
        if sha256 != self.model:
            raise ValueError(
                f'the adaptation was made with weights of the SHA-256 {self.model}, and the model has '
                f'{sha256 or "no file"}: give the model that it was made with, or run hyperbolic-seg adapt again'
            )

    @torch.no_grad()
    def change(self, model: nn.Module) -> None:
        """Change a model in place.

        Raises:
            ValueError: The model has no such norms, or no odds of kinds.
        """
        own = model.state_dict(keep_vars=True)
        for name, value in self.statistics.items():
            if name not in own or own[name].shape != value.shape or not value.isfinite().all():
                raise ValueError(f'the adaptation has {name}, which does not fit the model')
        if not isinstance(model, HyperCLIPSegmentor):
            raise ValueError(f'an adaptation is for models that segment by prompts, got a {type(model).__name__}')
        for name, value in self.statistics.items():
            own[name].copy_(value)
        model.odds_change = self.odds


@torch.no_grad()
def mix_statistics(module: nn.Module, run: Callable[[], object], weight: float) -> int:
    """Mix the statistics of a batch into those of batch norms, in place and in the order in which they run.

    So each norm sees what the norms before it make with their new statistics (Li et al., "Revisiting batch
    normalization for practical domain adaptation", 2016; the mixture is that of Schneider et al., NeurIPS 2020).

    Args:
        module: Its batch norms are changed.
        run: Passes a batch through it, once.
        weight: Weight of the statistics of the batch, 0 to 1.

    Returns:
        The number of norms that ran.

    Raises:
        ValueError: The weight is out of range.
    """
    if not 0 <= weight <= 1:
        raise ValueError(f'weight={weight}: expected 0 to 1')
    count = 0

    def mix(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count
        if norm.running_mean is None or norm.running_var is None:
            return
        var, mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)
        norm.running_mean.lerp_(mean.to(norm.running_mean), weight)
        norm.running_var.lerp_(var.to(norm.running_var), weight)
        count += 1

    norms = [norm for norm in module.modules() if isinstance(norm, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(mix, prepend=True) for norm in norms]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return count


def _pair(names: Any) -> tuple[str, str]:
    first, second = map(str, names)
    return first, second
