"""The histogram of HyperCLIP's paper: the hyperbolic radius of words before and after a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_BINS = 40


def draw_radius_histogram(radii: Mapping[str, Sequence[float]], file: str | Path, *, title: str = '') -> None:
    """Draw histograms of hyperbolic radii over each other, on one grid of bins.

    Args:
        radii: Radii of words by the name of their state, such as ``'before'`` and ``'after'``.
        file: The figure, of any format that matplotlib writes.
        title: Above it.

    Raises:
        ValueError: There is nothing to draw, or a radius is not finite.
    """
    values = {name: np.asarray(list(found), float) for name, found in radii.items()}
    everything = np.concatenate([np.empty(0), *values.values()])
    if not everything.size or not np.isfinite(everything).all():
        raise ValueError(f'expected finite radii of at least one word, got {everything.size} with values {everything}')
    import matplotlib.figure

    low, high = everything.min(), everything.max()
    room = max(0.05 * (high - low), 1e-3 * max(abs(high), 1))
    bins = np.linspace(low - room, high + room, _BINS + 1).tolist()
    figure = matplotlib.figure.Figure(figsize=(6, 3.5), layout='constrained')
    axes = figure.add_subplot()
    for name, found in values.items():
        label = f'{name}: mean {found.mean():.2f}, {len(found)} words'
        axes.hist(found, bins=bins, alpha=0.6, label=label)
    axes.set(xlabel='hyperbolic radius, 2 |v|', ylabel='words', title=title)
    axes.legend()
    figure.savefig(file, dpi=150)
