"""Stored statistics of a few images, so that no change of their look goes unnoticed.

After an intended change, run this file as a program and paste its output over ``GOLDEN``. Means of 256 pixels may
differ by one gray level, which covers the rounding of JPEG decoders.
"""

import numpy as np
import pytest

from hyperbolic_seg.sky.renderer import render_sky

SIZE = 128

# Per seed: gray levels of an 8x8 thumbnail in hexadecimal, and pixels per label. None has letters, whose shapes are
# those of the installed OpenCV.
GOLDEN: dict[int, tuple[str, dict[int, int]]] = {
    0: (
        '242e2f20232c2d3127212d1e1d242c2b84826c553f2b2a2b8d8e8f8c81302f29'
        '9190908e8a7c52209292969594919162a0a0a1a3a3a0a097638ba09d93789595',
        {0: 2936, 13: 9655, 27: 3793},
    ),
    1: (
        'b6a76088abc7c6b68daea864abcbc1ba9d4049aec5c0b2b370b19d6db1a29bb8'
        'a1bfa9bec9c3bcc0c3bdc0b0a9acaca59996908d878384802b2b2c2b2b2b2c2b',
        {0: 3392, 11: 5259, 13: 5218, 24: 2515},
    ),
    3: (
        '888f7d8872424847a39897896c486555c4ae7b83794d483dd9c1847556514745'
        'b5b9765f705b6c5b93a99269756764678a918a5a527372446f66544e638a7b5e',
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
        '6a7070767c83855b556b6a767f7673795271767a80645790436474706355526f'
        '394b6047464f4f53393940424764574d403f3e4a6578755a404141424b5e7179',
        {0: 6552, 11: 6937, 15: 690, 22: 2205},
    ),
    15: (
        '9a9fa6aeafafaba3a6a7aeb5b8b8b5adaeafb4babec0bdb7a9adb0b6bbbcbab5'
        'a7adafb4bbbcbcbbaeb4babfc3c6c7c3afb4bdc2c5c7c5c2a6acb7bcbcbebfbb',
        {7: 16017, 25: 367},
    ),
    17: (
        '01053d5a5b400f01095f787c98a09d0d2b698ca0c1bf66593773c5b5d3dc7f55'
        '2ebbc3b993dd4d2136bcb39e6267472207598c564540360501062f3634200501',
        {0: 1844, 11: 3870, 17: 10, 19: 4352, 22: 5959, 23: 270, 25: 21, 26: 58},
    ),
    23: (
        '01013e7c854d01010174bbd7ece75e0136b2b4e1ecef913366afc5edede9ba6f'
        '5487e3ebecd9a761278ce7e8e6b29233017be8d8b29c640101014c6658380101',
        {0: 93, 8: 105, 9: 182, 12: 4474, 15: 27, 18: 2, 19: 5620, 22: 5604, 23: 277},
    ),
    60: (
        '020322433e28030203306384767047032372959092907e244377a9c5b89b884f'
        '466f9da78f8b8858267a8b8b848fa63c026587888a9b88040204426d4f4c0402',
        {0: 5543, 8: 4755, 18: 49, 19: 5312, 21: 1, 22: 704, 23: 16, 26: 4},
    ),
    77: (
        '57667073736f665767768282827d756873808a8d8c88817478898f92928e8780'
        '9f9994989c918a81839a9397a391897d8d858d91978f85766779838890967c67',
        {0: 15869, 5: 436, 21: 24, 27: 55},
    ),
    161: (
        '5b6061615e59544e676c6e6b68615d5472797a78716a625aa1aaa8947c71695f'
        '98b6a9ab927a6d62c6d6cca5a47a7165add1c2979f776d668898918285696058',
        {7: 16226, 24: 80, 25: 70, 26: 8},
    ),
    169: (
        '01011e3d3d220101014c8d867c743f012195de9b7b766921469eb79568836a43'
        '457e918da0856f47266f6e8a877d6b250249726f6d6f3e0101011f3e3c1c0101',
        {0: 4038, 6: 5063, 17: 14, 19: 6384, 26: 47, 27: 838},
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
    for seed in (0, 1, 3, 5, 6, 8, 12, 15, 17, 23, 60, 77, 161, 169):
        thumbnail, histogram = statistics(seed)
        text = thumbnail.tobytes().hex()
        print(f"    {seed}: (\n        '{text[:64]}'\n        '{text[64:]}',")
        print(f'        {histogram},\n    ),')
