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
        'a1bfa9bec9c3bcc09298a699999d9c920b0b0b0a0b0c0c0a0b0b0b0b0b0b0b0b',
        {0: 2277, 11: 4504, 13: 5179, 18: 4424},
    ),
    3: (
        '888f7d8872424847a39897896c486555c4ae7b83794d483dd9c1847556514745'
        'b5b9765f705b6c5b93a99269756764678a918a5a527372446f66544e638a7b5e',
        {0: 10116, 8: 6256, 17: 12},
    ),
    5: (
        '001064948f6110001098a8a7a5a7920f67b8c2b8aca6a35d92bcc9b6afa8ab8e'
        '92b2b8b3b0a6ac8f65a6a9b5a69da5610f8ca8a09ca3900f000f638a8d601000',
        {12: 12312, 19: 4072},
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
        '394b6047464f4f53363a40424764574d443a3b4c6678755a7361445575777779',
        {0: 7705, 11: 7989, 15: 690},
    ),
    15: (
        '9a9fa6aeafafaba3a6a7aeb5b8b8b5adaeafb4babec0bdb7a9adb0b6bbbcbab5'
        'a7adafb4bbbcbcbbaeb4babfc3c6c7c3afb4bdc2c5c7c5c2a6acb7bcbcbebfbb',
        {7: 16017, 25: 367},
    ),
    17: (
        '010a486b704f0d010b74878c8e8b870c4c90a08aaba9ab597a9cb09fbecac282'
        '7ab5b0a380dca67f51ad9c875aa984470a8d855b5e8e7d0b010d4c70704b0a01',
        {0: 4264, 11: 7711, 17: 10, 19: 4352, 26: 47},
    ),
    23: (
        '01013e7c854d01010174bbd7ece75e0136b2b4e1ecef913366afc5edede9ba6f'
        '5487e3ebecd9a761278ce7e8e6b29233017be8d8b29c640101014c6658380101',
        {0: 93, 8: 105, 9: 182, 12: 4474, 15: 27, 18: 2, 19: 5620, 22: 5604, 23: 277},
    ),
    60: (
        '02032646492d030203446a8476735703297395909290813c4777a9c5b89b886d'
        '4e6f9da78f8b8878367e8b8b848fa74e036f88888a9d8f040204477a7d510402',
        {0: 6061, 8: 5006, 19: 5312, 21: 1, 26: 4},
    ),
    77: (
        '57667073736f665767768282827d756873808a8d8c88817478898f92928e8780'
        '9f9994989c918a81839a9397a391897d8d858d91978f85766779838890967c67',
        {0: 15869, 5: 436, 21: 24, 27: 55},
    ),
    161: (
        '5b6061615e59544e676c6e6b68615d5472797a78716a625aa1aaa8947c71695f'
        '97b6a9ab927a6d62add5cca5a47a7165a9d1c29c9f776d6676847d746f574539',
        {7: 15816, 18: 534, 25: 26, 26: 8},
    ),
    169: (
        '010124454426010101528d857c7545012894de9b7b7568244d9eb79568846a44'
        '4b7e918da0866d3f256f6e8a877d69230149726f6d6f47010101254443250101',
        {0: 4288, 6: 5358, 17: 14, 18: 548, 19: 5200, 26: 53, 27: 923},
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
