"""What the colours of a picture say about its pixels, learned from the picture itself."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hyperbolic_seg.geometry.numeric import full_precision
from hyperbolic_seg.models.refinement.elimination import solve

_DARK = 8.0  # grey level up to which a pixel has no colour to speak of
_SURE = 4  # exponent of the probability by which a pixel counts for a class: the sure ones count
_SPREAD = 1e-3  # variance of the features below which a difference is noise
_NONE = 1e-30  # probability that is taken for none
_TINY = 1e-6  # share of the pixels that every class is granted, lest a mass be zero
_FEW = 1e-2  # share of the pixels with which a class is taken half at its own colours, half at the whole picture's


def apply_color_likelihood(
    log_probs: Tensor,
    picture: Tensor,
    *,
    weight: float = 1.0,
    rounds: int = 1,
    temperature: float = 1.0,
    groups: Sequence[int] | None = None,
    seen: Tensor | None = None,
) -> Tensor:
    """Multiply probabilities by the likelihoods of the colours in this very picture (Bayes' rule).

    Cameras differ in the colours of sky and cloud more than one picture does in itself. What a model is sure of in a
    picture shows their colours there: a Gaussian for each class, with one covariance for all (Fisher's linear
    discriminant), around the mean of the pixels, which count by the fourth power of their probability. Features are the
    logarithms of red, green and blue, in which exposure and white balance are mere shifts, and the saturation.

    Args:
        log_probs: Logarithms of probabilities, (N, K, H, W).
        picture: RGB or BGR, grey levels 0 to 255, (N, 3, H, W).
        weight: Exponent of the likelihood: 1 for Bayes' rule, more for a model that is less sure than its colours.
        rounds: How often the Gaussians are learned, from the second time on from what came out (expectation
            maximisation): more than once for pictures unlike those that the model was trained on.
        temperature: What the logarithms of the outcome for the groups are divided by, as the pixels of one cloud are no
            independent witnesses: above 1 for doubt that is honest again. The order of the groups stays, and so do the
            odds within each.
        groups: For every class the group that it belongs to, from 0 on: classes of one group share their colours, so
            that these tell cloud from sky, but not cirrus from cumulus. By default each is its own.
        seen: Which pixels are of the picture and no padding, (N, 1, H, W), boolean; all by default.

    Returns:
        Logarithms of probabilities, (N, K, H, W). Pixels that are nearly black keep what they had.

    Raises:
        ValueError: The picture has not three channels, the weight is negative, there is no round, or the
            temperature is not positive.
    """
    if picture.shape[1] != 3 or weight < 0 or rounds < 1 or temperature <= 0:
        raise ValueError(
            'expected a picture of 3 channels, a weight of at least 0, at least one round and a positive temperature, '
            f'got {picture.shape[1]}, {weight}, {rounds} and {temperature}'
        )
    with full_precision(log_probs.device):
        levels, prior = picture.float().clamp_min(0), log_probs.float()
        counted = levels.mean(1, keepdim=True) > _DARK
        counted = (counted if seen is None else counted & seen).to(prior)
        group = list(range(prior.shape[1]) if groups is None else groups)
        member = prior.new_tensor([[float(g == other) for other in range(max(group) + 1)] for g in group])
        features, found = _features(levels), prior
        for _ in range(rounds):
            together = torch.einsum('nkhw,kg->nghw', found.exp(), member)
            evidence = _log_likelihood(features, together**_SURE * counted, counted)
            shared = torch.einsum('nghw,kg->nkhw', evidence, member)
            found = (prior + weight * counted * shared).log_softmax(1)
        # What the colours weighed is softened, the groups where there is a colour; the odds within them stay.
        joint = torch.einsum('nkhw,kg->nghw', found.exp(), member).clamp_min(_NONE).log()
        softened = (joint * (1 + counted * (1 / temperature - 1))).log_softmax(1)
        return (found + torch.einsum('nghw,kg->nkhw', softened - joint, member)).log_softmax(1).to(log_probs)


def _features(levels: Tensor) -> Tensor:
    """Return logarithms of the channels and saturation, (N, 4, H, W)."""
    least, most = levels.amin(1, keepdim=True), levels.amax(1, keepdim=True)
    return torch.cat([(levels + _DARK).log(), 1 - (least + 1) / (most + 1)], 1)


def _log_likelihood(features: Tensor, shares: Tensor, counted: Tensor) -> Tensor:
    """Return log densities up to what all classes have in common, (N, K, H, W).

    Args:
        features: (N, F, H, W).
        shares: How much a pixel counts for a class, (N, K, H, W).
        counted: Whether it counts at all, (N, 1, H, W).
    """
    count = counted.sum((2, 3)) + 1
    x = features - (counted * features).sum((2, 3), keepdim=True) / count[..., None, None]
    mass = shares.sum((2, 3)) + _TINY * count
    means = torch.einsum('nkhw,nfhw->nkf', shares, x) / mass[..., None]
    around = torch.einsum('nhw,nfhw,nghw->nfg', shares.sum(1), x, x)
    around = around - torch.einsum('nk,nkf,nkg->nfg', mass, means, means)
    spread = around / mass.sum(1)[:, None, None] + _SPREAD * torch.eye(x.shape[1]).to(x)
    # One system for every class: what a density gains along each feature.
    rows = [[entry[:, None] for entry in row.unbind(1)] for row in spread.unbind(1)]
    slopes = torch.stack(solve(rows, list(means.unbind(2))), 2)
    own = torch.einsum('nkf,nfhw->nkhw', slopes, x) - (slopes * means).sum(2)[..., None, None] / 2
    # A class that hardly appears has no colours of its own to speak of, but those of the whole picture.
    whole = (own + (mass / mass.sum(1, keepdim=True)).log()[..., None, None]).logsumexp(1, keepdim=True)
    known = (mass / (mass + _FEW * count))[..., None, None]
    return torch.logaddexp(own + known.log(), whole + (1 - known).log())
