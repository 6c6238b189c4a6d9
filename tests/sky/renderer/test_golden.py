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
        '749c8aa9b7b0aab37a808e86848a928f5a5b595a5b5e64662b2b2c2b2b2b2c2b',
        {0: 3392, 11: 5259, 13: 5218, 24: 2515},
    ),
    3: (
        '888f7d8872424847a39897896c486555c2ae7b83794d483dd6c1847556514745'
        'b4b9765f715b6c5b93a99269756764678a918a5a527372446f66544e638a7b5e',
        {0: 10116, 8: 6256, 17: 12},
    ),
    5: (
        '0013759a784f0f0013b1c5b68d97a81177d1d8d0aabec06eabd4dcd0cbc5c8a7'
        'abcdd2ceccc3c5a576c2c5cec0b5c17212a3c3bbb8c0aa12001275a3a6711300',
        {12: 11044, 19: 4072, 22: 1268},
    ),
    6: (
        '4b4c4e4f505252534c4e4f515356585a4d4f5153565b60654e50525559606a74'
        '4e5052565b64728b4e5052555a63728b4d4f5154585f69744c4e505255595f64',
        {0: 16384},
    ),
    8: (
        'ca91b1e3be4b2b19cf8a81a72b211f1dbe9c882b1d1e2147cc812621342c2c27'
        '72242938322a28262925262728272d24212428273325672d202a34243b224050',
        {0: 1552, 13: 1600, 14: 370, 15: 13, 18: 1, 22: 12831, 25: 17},
    ),
    12: (
        '6a7070767c83855b556b6a767f7673795271767b8064578f436474706355526f'
        '394b6047464f4f53393940424764574d403f3e4a6578755a404141424b5e7179',
        {0: 6552, 11: 6937, 15: 690, 22: 2205},
    ),
    15: (
        '9a9fa6aeafafaba3a6a7aeb5b8b8b5adaeafb4babec0bdb7a9adb0b6bbbcbab5'
        'a7adafb4bbbcbcbbaeb4babfc3c6c7c3afb4bdc2c5c7c5c2a6acb7bcbcbebfbb',
        {7: 16017, 25: 367},
    ),
    17: (
        '01053d5a5b400f01095f787c98a09d0d2b698ca0c1bf66593773c5b1cbdb7f55'
        '2ebbc3b487dd4d2136bcb39e6267472207598c564540360501062f3634200501',
        {0: 1851, 11: 3921, 17: 10, 19: 4352, 22: 5959, 23: 270, 25: 21},
    ),
    23: (
        '01013e7c854d01010174bbd7ece75e0136b2b4e1ecef913366afc5edede9ba6f'
        '5487e3ebecd9a761278ce7e8e6b29233017be8d8b29c640101014c6658380101',
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
