"""Histogram of the hyperbolic radius of words, such as before and after training (as in HyperCLIP's paper)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

_BINS = 40


def draw_radius_histogram(radii: Mapping[str, Sequence[float]], file: str | Path, *, title: str = '') -> None:
    """Draw overlaid histograms of hyperbolic radii with shared bins.

    Args:
        radii: Radii of words by the name of a state, such as ``'before'`` and ``'after'``.
        file: Path of the figure, in any format of matplotlib.
        title: Title of the figure.

    Raises:
        ValueError: There is no radius, or one is not finite.
    """
    values = {name: np.asarray(list(found), float) for name, found in radii.items()}
    everything = np.concatenate([np.empty(0), *values.values()])
    if not everything.size or not np.isfinite(everything).all():
        raise ValueError(f'expected finite radii of at least one word, got {everything.size} with values {everything}')
    import matplotlib.figure

    low, high = everything.min(), everything.max()
    margin = max(0.05 * (high - low), 1e-3 * max(abs(high), 1))
    bins = np.linspace(low - margin, high + margin, _BINS + 1).tolist()
    figure = matplotlib.figure.Figure(figsize=(6, 3.5), layout='constrained')
    axes = figure.add_subplot()
    for name, found in values.items():
        label = f'{name}: mean {found.mean():.2f}, {len(found)} words'
        axes.hist(found, bins=bins, alpha=0.6, label=label)
    axes.set(xlabel='hyperbolic radius, 2 |v|', ylabel='words', title=title)
    axes.legend()
    figure.savefig(file, dpi=150)
