"""Stored statistics of a few pictures, so that no change of the look goes unnoticed.

If a change is meant, run this file as a program and paste what it prints over ``GOLDEN``.
"""

import numpy as np
import pytest

from hyperbolic_seg.datasets.procedural_sky import render_sky

SIZE = 128

# Per seed: grey levels of an 8x8 thumbnail in hexadecimal, and pixels per label.
GOLDEN: dict[int, tuple[str, dict[int, int]]] = {}


def statistics(seed):
    picture = render_sky(seed, SIZE)
    grey = picture.image.astype(np.int64).sum(axis=2)
    cell = SIZE // 8
    thumbnail = grey.reshape(8, cell, 8, cell).sum(axis=(1, 3)) // (3 * cell * cell)
    labels, counts = np.unique(picture.labels, return_counts=True)
    histogram = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    return thumbnail.astype(np.uint8), histogram


@pytest.mark.parametrize('seed', GOLDEN)
def test_statistics(seed):
    stored, histogram = GOLDEN[seed]
    thumbnail, found = statistics(seed)
    expected = np.frombuffer(bytes.fromhex(stored), np.uint8).reshape(8, 8)
    assert np.abs(thumbnail.astype(int) - expected).max() <= 1
    assert found.keys() == histogram.keys()
    assert max(abs(found[label] - histogram[label]) for label in found) <= 3


if __name__ == '__main__':
    for seed in (0, 1, 3, 5, 6, 8, 12, 15, 17, 23):
        thumbnail, histogram = statistics(seed)
        text = thumbnail.tobytes().hex()
        print(f"    {seed}: (\n        '{text[:64]}'\n        '{text[64:]}',\n        {histogram},\n    ),")
