"""A change of the odds of two kinds of pixels, by their colors: what labels of a camera say about a model."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hyperbolic_seg.models.refinement.color_likelihood import color_features

FEATURES = 4
"""Number of the color features; see :func:`~hyperbolic_seg.models.refinement.color_likelihood.color_features`."""
_MOST = 8.0  # Log odds beyond which a pixel is as sure as it can be, so that single pixels do not decide a fit.
_STEPS = 100


@dataclass(frozen=True)
class OddsChange:
    """A change of the log odds of one kind of pixels against another.

    The new log odds are ``scale`` times the old ones, limited to 8 on either side, plus ``colors`` times the color
    features, plus ``offset``. All other kinds, and the two together, stay as probable as they were.

    Args:
        nodes: Names of the two kinds, such as ``('clear sky', 'cloud')``; the odds are those of the second.
        scale: Factor of the old log odds.
        colors: A coefficient for each color feature.
        offset: Summand.

    Raises:
        ValueError: The nodes are the same, or there is another number of coefficients.
    """

    nodes: tuple[str, str]
    scale: float
    colors: tuple[float, ...]
    offset: float

    def __post_init__(self) -> None:
        if len(set(self.nodes)) != 2 or len(self.colors) != FEATURES:
            raise ValueError(
                f'expected two kinds and {FEATURES} coefficients of colors, got {self.nodes} and {len(self.colors)}'
            )

    def of(self, log_odds: Tensor, features: Tensor) -> Tensor:
        """Return the new log odds, (...).

        Args:
            log_odds: The old ones, (...).
            features: Color features, (4, ...).
        """
        along = torch.tensordot(features.new_tensor(self.colors), features, dims=1)
        moved: Tensor = self.scale * log_odds.clamp(-_MOST, _MOST) + along + self.offset
        return moved


class Odds(NamedTuple):
    """A change of odds, and the numbers of its two kinds in a vocabulary."""

    change: OddsChange
    kinds: tuple[int, int]


def apply_odds(log_probs: Tensor, levels: Tensor, odds: Odds) -> Tensor:
    """Change the odds of two kinds at every pixel.

    Args:
        log_probs: Logarithms of the probabilities of kinds, (N, G, H, W).
        levels: The image in levels of 0 to 255, (N, 3, H, W).
        odds: What to change.

    Returns:
        (N, G, H, W).
    """
    first, second = (log_probs[:, kind].float() for kind in odds.kinds)
    both = torch.logaddexp(first, second)
    moved = odds.change.of(second - first, color_features(levels.float().clamp_min(0)).transpose(0, 1))
    rows = list(log_probs.unbind(1))
    for kind, sign in zip(odds.kinds, (-1, 1), strict=True):
        rows[kind] = (both + F.logsigmoid(sign * moved)).to(log_probs)
    return torch.stack(rows, 1)


def fit_odds(
    log_odds: Tensor, features: Tensor, labels: Tensor, weights: Tensor, *, nodes: tuple[str, str], ridge: float = 0.1
) -> OddsChange:
    """Fit a change of odds to labeled pixels: logistic regression, drawn towards no change.

    Args:
        log_odds: Log odds of the second kind by the model, (P,).
        features: Their color features, (4, P).
        labels: 1 for pixels of the second kind, 0 for the first, (P,).
        weights: How much each pixel counts, (P,).
        nodes: Names of the two kinds.
        ridge: Weight of the squared coefficients of standardized features, in units of the weights, which usually sum
            to one for each picture.

    Raises:
        ValueError: There is no pixel, or the ridge is not positive.
    """
    if not len(labels) or ridge <= 0:
        raise ValueError(f'expected labeled pixels and a positive ridge, got {len(labels)} pixels and {ridge}')
    known, colors = log_odds.double().clamp(-_MOST, _MOST), features.double()
    center = colors.mean(1, keepdim=True)
    spread = colors.std(1, keepdim=True, correction=0).clamp_min(1e-2)
    columns = torch.cat([known[None], (colors - center) / spread, torch.ones_like(known)[None]])
    target, share = labels.double(), weights.double()
    change = torch.zeros(len(columns), dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([change], max_iter=_STEPS, line_search_fn='strong_wolfe')

    def loss() -> Tensor:
        solver.zero_grad()
        moved = known + change @ columns
        wrong = F.binary_cross_entropy_with_logits(moved, target, weight=share, reduction='sum')
        value = wrong + ridge / 2 * change.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(loss)
    scale, *slopes, offset = change.detach()
    raw = torch.stack(slopes) / spread[:, 0]
    return OddsChange(nodes, 1 + scale.item(), tuple(raw.tolist()), (offset - raw @ center[:, 0]).item())
