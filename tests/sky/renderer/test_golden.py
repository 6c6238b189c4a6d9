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
        '749c8aa9b7b0aab37a808e86848a928f5a5a595a5b5d63652a2a2a2a2a2a2a2a',
        {0: 3392, 11: 5259, 13: 5218, 24: 2515},
    ),
    3: (
        '888f7d8872424847a39897896c486555c2ae7b83794d483dd6c1847556514745'
        'b4b9765f715b6c5b93a99269756764678a918a5a527372446f66544e638a7b5e',
        {0: 10116, 8: 6256, 17: 12},
    ),
    5: (
        '00116d8d6a460d0011a5b7a77d879b1070c6cfc59ab0b266a0cad4c5beb7bb9b'
        'a0c1c7c2bfb6b89a6eb5b7c3b2a8b36a1197b5adaab29e1100116d979a691100',
        {12: 11044, 19: 4072, 22: 1268},
    ),
    6: (
        '4b4c4e4f505252534c4e4f515356585a4d4f5153565b60654e50525559606a74'
        '4e5052565b64728b4e5052555a63728b4d4f5154585f69744c4e505255595f64',
        {0: 16384},
    ),
    8: (
        'b680a1d2b2422314ba7a719b251b1917ac8d7b2417181b3bbd751f1a2a23241f'
        '651e212e2921201e211e1f1f2020251d1a1c1f1f2a1d5a251a222a1d311b3645',
        {0: 1552, 13: 1600, 14: 370, 15: 13, 18: 1, 22: 12831, 25: 17},
    ),
    12: (
        'c1cacad0d4dcdfb2a8c4c4d0d8d0cbcfa3cad0d4d9bdace188bccecabaa8a5c4'
        '7696b7908f9fa1a77378848791baaa9d7b7a7a93bcd0cdac7b7e7e7f8ca8c5d0',
        {0: 6552, 11: 6937, 15: 690, 22: 2205},
    ),
    15: (
        '9a9fa6aeafafaba3a6a7aeb5b8b8b5adaeafb4babec0bdb7a9adb0b6bbbcbab5'
        'a7adafb4bbbcbcbbaeb4babfc3c6c7c3afb4bdc2c5c7c5c2a6acb7bcbcbebfbb',
        {7: 16017, 25: 367},
    ),
    17: (
        '0104365051390e0108546b6f8b938f0c265d7e93b5b1534c3169b9a4c1d26d49'
        '29afb7a87dd7451e31b0a691595e3f1e07507f4e3d38300501052a302e1d0401',
        {0: 1833, 11: 3871, 17: 10, 18: 3, 19: 4352, 22: 5957, 23: 337, 25: 21},
    ),
    23: (
        '0101346b76490101015f9bbfe0db51012d9294d0dfe57a295490ace1e1de9d5a'
        '4670d5dedfca874e2077d7d9d7997529016cd9c4997e510101014755472d0101',
        {0: 93, 8: 105, 9: 182, 12: 4474, 15: 27, 18: 2, 19: 5620, 22: 5604, 23: 277},
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
