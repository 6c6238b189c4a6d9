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
        '001064948f6110001098a8a7a5a7920f67b8c2b8aca6a35d92bcc8b6afa8ab8e'
        '92b1b7b3b0a6ac8f63a4a9b5a69da5610f868c9d9ca3900f000c48828d601000',
        {12: 11847, 19: 4072, 22: 454, 25: 11},
    ),
    6: (
        '4b4c4e4f505252534c4e4f515356585a4d4f5153565b60654e50525559606a74'
        '4e5052565b64728b4e5052555a63728b4d4f5154585f69744c4e505255595f64',
        {0: 16384},
    ),
    8: (
        '7450688da07b4f5a774d4688a79089a3725c7ba79ba5aa5d82739fb0aaa7978d'
        '7b838586949787909f83896c82635574695d5f587f2112168b5b4f9e8d241110',
        {0: 4934, 13: 4103, 14: 4892, 15: 565, 22: 1815, 25: 75},
    ),
    12: (
        '6a7070767c83855b556b6a767f7673795271767b8064578f436474706355526f'
        '394b6047464f4f53373940424764574d3b3a3a496578755a3a3d3c3d455a7079',
        {0: 6552, 11: 6937, 15: 690, 22: 2205},
    ),
    15: (
        '9a9fa6aeafafaba3a6a7aeb5b8b8b5adaeafb4babec0bdb7b1b5b8bec3c5c3bf'
        'b2b8bac0c7c7c8c6b1b7bdc3c7c9cac6afb4bdc2c5c7c5c2a6acb7bcbcbebfbb',
        {7: 16384},
    ),
    17: (
        '01062b46473b0d01064b5c607c8b830c25517088aba8303d2b63b09ab7c96443'
        '2ba8b09e75d02a16274b98875252331b0a306e4837342a040106282e271a0301',
        {0: 1799, 11: 3719, 17: 10, 18: 2, 19: 4352, 22: 5754, 23: 748},
    ),
    23: (
        '01011b3b422e0101013452618f883e011a4f52808b9f3d172f4e6d8f8d925b2f'
        '243e86898b835134154c82848366571c014084736657370101012c33381e0101',
        {0: 98, 8: 115, 9: 213, 12: 4464, 15: 27, 18: 5, 19: 5620, 22: 5587, 23: 255},
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
