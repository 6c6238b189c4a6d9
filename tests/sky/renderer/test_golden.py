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
        'a0c0c6c2bfb6bb9c6cb3b8c4b5abb46a119299acaab29e11000d4b8e9a691100',
        {12: 11847, 19: 4072, 22: 454, 25: 11},
    ),
    6: (
        '4b4c4e4f505252534c4e4f515356585a4d4f5153565b60654e50525559606a74'
        '4e5052565b64728b4e5052555a63728b4d4f5154585f69744c4e505255595f64',
        {0: 16384},
    ),
    8: (
        'b5809fd2e0b3808fba7a70c2e4cdbfdeae8db1e5dde3e691beaad7e9e7e4d5cf'
        'b8bfbfbdcfd1c2d2dabfc7a1bf9888ac9e92928abd3c2329cb8d7fd6c73c211f',
        {0: 4934, 13: 4103, 14: 4892, 15: 565, 22: 1815, 25: 75},
    ),
    12: (
        'c1cacad0d4dcdfb2a8c4c4d0d8d0cbcfa3cad0d4d9bdace188bccecabaa8a5c4'
        '7696b7908f9fa1a77378848791baaa9d7c7a7a93bcd0cdac7b7d7e7e8ca8c5d0',
        {0: 6552, 11: 6937, 15: 690, 22: 2205},
    ),
    15: (
        '9a9fa6aeafafaba3a6a7aeb5b8b8b5adaeafb4babec0bdb7b1b5b8bec3c5c3bf'
        'b2b8bac0c7c7c8c6b1b7bdc3c7c9cac6afb4bdc2c5c7c5c2a6acb7bcbcbebfbb',
        {7: 16384},
    ),
    17: (
        '010731514e360e0108546b7085948c0c2a5a7d92b5b23a443068baa4c1d2744c'
        '29b1baa87dd9471e294fa29159613e1f0b35764e3c3b300301062d32291c0301',
        {0: 1802, 11: 3707, 17: 10, 18: 3, 19: 4352, 22: 5748, 23: 762},
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
