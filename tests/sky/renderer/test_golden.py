"""Stored statistics of a few images, so that no change of their look goes unnoticed.

After an intended change, run this file as a program and paste its output over ``GOLDEN``. Means of 256 pixels may
differ by one gray level, which covers the rounding of JPEG decoders.
"""

import numpy as np
import pytest

from hyperbolic_seg.sky.renderer import render_sky

SIZE = 128

# Per seed: gray levels of an 8x8 thumbnail in hexadecimal, and pixels per label.
GOLDEN: dict[int, tuple[str, dict[int, int]]] = {
    0: (
        '1a1a1b1b1b1b1a1a271f201c1c1c1c1b7a73704d402e1e1d807c797877271f1e'
        '847e7f7b78764820868587827d7e765993939193918d878e5b7f928d84708b8c',
        {0: 6571, 13: 9813},
    ),
    1: (
        'b5a35f87a9c6c5b484a8a161accac0b98a3641aac3bfb0b1549787619f9292b2'
        '749c8aa9b7b0aab37a808e86848a928f5e5e5c5e5e6167692d2d2d2d2d2e2e2e',
        {0: 3392, 11: 5259, 13: 5218, 24: 2515},
    ),
    3: (
        '888f7d8872424847a39897896c486555c2ae7b83794d483dd6c1847556514745'
        'b4b9765f715b6c5b93a99269756764678a918a5a527372446f66544e638a7b5e',
        {0: 10116, 8: 6256, 17: 12},
    ),
    5: (
        '00116da19c6a110011a5b7b6b4b79f1070c6cfc7bbb6b266a0cad4c5beb7bb9b'
        'a0c1c7c2bfb6b89a6eb5b7c3b2a8b36a118f97aaaab29e11000d4b8e9a691100',
        {12: 11858, 19: 4072, 22: 454},
    ),
    6: (
        '4b4c4e4f505252534c4e4f515356585a4d4f5153565b60654e50525559606a74'
        '4e5052565b64728b4e5052555a63728b4d4f5154585f69744c4e505255595f64',
        {0: 16384},
    ),
    8: (
        'b680a1d2d6b3808fba7a72c2d8c8bed8ac8db1e5cedce691bdadd8e9d3dbd5cf'
        'b7c4c0bdbac9c2d2dfc0c9a1aa9488aca392948aa33c2329d28f7fd6a73c211f',
        {0: 4923, 13: 4091, 14: 4636, 15: 554, 18: 1, 22: 1815, 25: 364},
    ),
    12: (
        'c1cacad0d4dcdfb2a8c4c4d0d8d0cbcfa3cad0d4d9bdace188bccecabaa8a5c4'
        '7696b7908f9fa1a77378848791baaa9d7c7a7a93bcd0cdac7b7d7e7e8ca8c5d0',
        {0: 6552, 11: 6937, 15: 690, 22: 2205},
    ),
    15: (
        '9a9fa6aeafafaba3a6a7aeb5b8b8b5adaeafb4babec0bdb7a9adb0b6bbbcbab5'
        'a7adafb4bbbcbcbbaeb4babfc3c6c7c3afb4bdc2c5c7c5c2a6acb7bcbcbebfbb',
        {7: 16017, 25: 367},
    ),
    17: (
        '010731514e360e0108546b7085948c0c2a5a7d93b5b23a443068baa4c1d2744c'
        '29b1b7a87dd9471e274ca29159613e1f0b35764e3c3b300301062d32291c0301',
        {0: 1799, 11: 3699, 17: 10, 18: 4, 19: 4352, 22: 5748, 23: 751, 25: 21},
    ),
    23: (
        '0101317077490101015e97bde0dd5f012e8d99d0dfe79326528cafe1e1dea058'
        '345ed5dedfd58e5b207ad6d9d7ac9732016dd9c3ad985f010101475a64340101',
        {0: 98, 8: 115, 9: 174, 12: 4494, 15: 27, 18: 1, 19: 5620, 22: 5659, 23: 196},
    ),
}


def statistics(seed):
    rendered = render_sky(seed, SIZE)
    gray = rendered.image.astype(np.int64).sum(axis=2)
    cell = SIZE // 8
    thumbnail = gray.reshape(8, cell, 8, cell).sum(axis=(1, 3)) // (3 * cell * cell)
    labels, counts = np.unique(rendered.labels, return_counts=True)
    histogram = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    return thumbnail.astype(np.uint8), histogram


@pytest.mark.parametrize('seed', GOLDEN)
def test_thumbnails_and_label_counts_equal_the_stored_ones(seed):
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
        print(f"    {seed}: (\n        '{text[:64]}'\n        '{text[64:]}',")
        print(f'        {histogram},\n    ),')
