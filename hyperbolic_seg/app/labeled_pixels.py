"""Labeled pixels of pictures as a model sees them: drawn, fitted to, and held out."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hyperbolic_seg.apis import HyperSegInferencer, coarse_maps
from hyperbolic_seg.app.labels import IGNORE
from hyperbolic_seg.evaluation import mean_iou
from hyperbolic_seg.models.refinement import OddsChange, color_features, fit_odds, levels_of
from hyperbolic_seg.models.segmentors import FeatureCache
from hyperbolic_seg.sky import CLEAR_SKY, CLOUD

NODES = (CLEAR_SKY, CLOUD)
RIDGE = 0.1
"""Ridge of the fit to labels; see :func:`~hyperbolic_seg.models.refinement.fit_odds`."""
PIXELS = 1000
"""Labeled pixels that are drawn from each picture."""
ERRORS = 2.0
"""Standard errors by which a mean over pictures has to rise."""
_FOLDS = 5
_FEW = 10  # labeled pixels below which a picture counts less than another
_DARK = 8.0  # Level up to which a pixel has no color to speak of.


class Seen(NamedTuple):
    """The prediction and the colors of a picture, at the size at which the model takes it."""

    log_odds: Tensor
    """Log odds of cloud against clear sky, (H, W)."""
    without_colors: Tensor
    """The same without the color likelihood, (H, W)."""
    features: Tensor
    """Color features, (4, H, W)."""
    colored: Tensor
    """True where a pixel is bright enough to have a color, (H, W)."""
    size: tuple[int, int]
    """Height and width of the picture itself."""


class Sample(NamedTuple):
    """Labeled pixels of a picture."""

    log_odds: Tensor
    features: Tensor
    labels: Tensor


class Judged(NamedTuple):
    """Mean IoU of clear sky and cloud on labels held out, before and after an adaptation."""

    before: float
    after: float
    gains: NDArray[np.float64]
    """Share of the labeled pixels of each picture that is right after, less that before."""


@torch.no_grad()
def see(inferencer: HyperSegInferencer, image: Any) -> Seen:
    """Return what a model sees of a picture, whose prompts are :data:`NODES`."""
    model, batch = inferencer.model, inferencer.prepare(image)
    with _encoded_once(model):
        ((maps, sample),) = coarse_maps(model, batch)
        with _without_colors(model):
            ((plain, _),) = coarse_maps(model, batch)
    inputs = model.data_preprocessor(batch, False)['inputs']
    levels = levels_of(inputs, model.data_preprocessor)[0, :, : maps.shape[1], : maps.shape[2]].float()
    size: tuple[int, int] = tuple(sample.metainfo['ori_shape'][:2])
    return Seen(
        (maps[1] - maps[0]).cpu(),
        (plain[1] - plain[0]).cpu(),
        color_features(levels[None].clamp_min(0))[0].cpu(),
        (levels.mean(0) > _DARK).cpu(),
        size,
    )


def draw_pixels(mask: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of labeled pixels of a mask, (H, W), at most :data:`PIXELS`."""
    rows, columns = np.nonzero(mask != IGNORE)
    chosen = np.random.default_rng(seed).permutation(len(rows))[:PIXELS]
    return rows[chosen], columns[chosen]


def sample_of(seen: Seen, mask: NDArray[np.uint8], seed: int) -> Sample:
    """Draw labeled pixels of a picture at random.

    Args:
        seen: What the model sees of it.
        mask: Its mask at its own size.
        seed: Seed of the draw.
    """
    rows, columns = draw_pixels(mask, seed)
    shape = seen.log_odds.shape
    at = tuple(
        torch.from_numpy((where + 0.5) * small / large).long()
        for where, small, large in zip((rows, columns), shape, seen.size, strict=True)
    )
    labels = torch.from_numpy(mask[rows, columns].astype(np.float32))
    return Sample(seen.log_odds[at], seen.features[:, at[0], at[1]], labels)


def fit(samples: Sequence[Sample], ridge: float = RIDGE) -> OddsChange:
    """Fit a change of odds to labeled pixels; pictures count alike, but less with fewer than ten pixels."""
    weights = [torch.full((len(sample.labels),), 1 / max(len(sample.labels), _FEW)) for sample in samples]
    log_odds, features, labels = (
        torch.cat([getattr(sample, name) for sample in samples], -1) for name in Sample._fields
    )
    return fit_odds(log_odds, features, labels, torch.cat(weights), nodes=NODES, ridge=ridge)


def confusion(samples: Sequence[Sample], change: OddsChange | None) -> NDArray[np.float64]:
    """Return the confusion matrix of label and prediction, (2, 2), over labeled pixels."""
    total = np.zeros((2, 2))
    for sample in samples:
        odds = sample.log_odds if change is None else change.of(sample.log_odds, sample.features)
        both = 2 * sample.labels.long() + (odds > 0).long()
        total += torch.bincount(both, minlength=4).reshape(2, 2).numpy()
    return total


def judge(samples: Sequence[Sample], plain: Sequence[Sample], ridge: float = RIDGE) -> Judged | None:
    """Judge an adaptation on pictures held out in turn; neighbors in the order given are held out together.

    Args:
        samples: Labeled pixels by the model with its new statistics.
        plain: The same by the model as it was.
        ridge: See :func:`fit`.

    Returns:
        ``None`` with fewer than two pictures, or where one kind alone is labeled in what is left.
    """
    folds = [fold for fold in np.array_split(np.arange(len(samples)), min(_FOLDS, len(samples))) if len(fold)]
    if len(folds) < 2:
        return None
    after = []
    for fold in folds:
        change = fit([sample for number, sample in enumerate(samples) if number not in fold], ridge)
        after += [confusion([samples[number]], change) for number in fold]
    before = [confusion([sample], None) for sample in plain]
    shares = [np.array([np.trace(each) / max(each.sum(), 1) for each in part]) for part in (before, after)]
    earlier, later = (float(mean_iou(np.sum(part, axis=0))) for part in (before, after))
    return Judged(earlier, later, shares[1] - shares[0])


def rises(gains: NDArray[np.float64], errors: float = ERRORS) -> bool:
    """Return whether the mean of gains over pictures is positive, by more than some of its standard errors."""
    known = gains[np.isfinite(gains)]
    return len(known) > 1 and float(known.mean()) > errors * float(known.std(ddof=1)) / len(known) ** 0.5


def decide(judged: Sequence[Judged], errors: float = ERRORS) -> int | None:
    """Return the number of the adaptation that labels held out speak for, ``None`` for none.

    A later one has to be better than one before it, and that one better than the model, beyond chance.

    Args:
        judged: Adaptations, the plainest first.
        errors: See :func:`rises`.
    """
    best = 0
    for number, each in enumerate(judged):
        if each.after > judged[best].after and rises(each.gains - judged[best].gains, errors):
            best = number
    if not judged or judged[best].after <= judged[best].before or not rises(judged[best].gains, errors):
        return None
    return best


def agreement(seen: Sequence[Seen]) -> NDArray[np.float64]:
    """Return for each picture the share of pixels with a color whose label the color likelihood does not change."""
    shares = []
    for each in seen:
        same = ((each.log_odds > 0) == (each.without_colors > 0))[each.colored]
        shares.append(float(same.float().mean()) if len(same) else np.nan)
    return np.array(shares)


@contextmanager
def _encoded_once(model: Any) -> Iterator[None]:
    """Keep the features of the images for a while, as long as weights stay."""
    own = model.feature_cache
    model.feature_cache = FeatureCache()
    try:
        yield
    finally:
        model.feature_cache = own


@contextmanager
def _without_colors(model: Any) -> Iterator[None]:
    """Leave out the color likelihood for a while."""
    options = model.test_cfg['color_likelihood']
    model.test_cfg['color_likelihood'] = None
    try:
        yield
    finally:
        model.test_cfg['color_likelihood'] = options
