"""Stored statistics of a few pictures, so that no change of the look goes unnoticed.

If a change is meant, run this file as a program and paste what it prints over ``GOLDEN``.
"""

import numpy as np
import pytest

from hyperbolic_seg.sky.renderer import render_sky

SIZE = 128

# Per seed: grey levels of an 8x8 thumbnail in hexadecimal, and pixels per label.
GOLDEN: dict[int, tuple[str, dict[int, int]]] = {
    0: (
        '1a1a1b1b1b1b1a1a271f201c1c1c1c1b7a73704d402e1e1d807c797877271f1e'
        '847e7f7b78764820868587827d7e765993939193918d878e5b7f928d84708b8c',
        {0: 6571, 13: 9813},
    ),
    1: (
        'b5a35f87a9c6c5b484a8a161accac0b98a3641aac3bfb0b1549787619f9292b2'
        '749c8aa9b7b0aab35c698079798086800b0b0b0a0b0b0c0a0b0b0b0b0b0b0b0b',
        {0: 2277, 11: 4504, 13: 5179, 18: 4424},
    ),
    3: (
        '888e7d8872434948a29796886c496656c0ad7b82794d493fd4bf847557514846'
        'b3b7765f705c6c5c92a89169756764688a91895b527373466f66554f638a7b5e',
        {0: 10116, 8: 6256, 17: 12},
    ),
    5: (
        '001064948f6110001098a8a7a5a7920f67b8c2b8aca6a35d92bcc8b6afa8ab8e'
        '92b2b8b3b0a6ac8f65a6a9b5a69da5610f8ca8a09ca3900f000f638a8d601000',
        {12: 12312, 19: 4072},
    ),
    6: (
        '4b4c4e4f505252534c4e4f515356585a4d4f5153565b60654e50525559606a74'
        '4e5052565b64728b4e5052555a63728b4d4f5154585f69744c4e505255595f64',
        {0: 16384},
    ),
    8: (
        '74526a8d9f7b505a774e4788a58f88a1715e7ca699a3a95d82769fafa8a6968d'
        '7b8886859496878fa3848a6d828098856d5e60587f595446905c509d8d74736c',
        {0: 5107, 13: 4257, 14: 6454, 15: 566},
    ),
    12: (
        '6a7170767c83855d566b6b767e7673785370767b8065588f4364747063565370'
        '3a4c614847505154373b41424864584e463b3c4e6679755a7261445575777679',
        {0: 7705, 11: 7989, 15: 690},
    ),
    15: (
        '9a9fa6aeafafaba3a6a7aeb5b8b8b5adaeafb4babec0bdb7b1b5b8bec3c5c3bf'
        'b2b8bac0c7c7c8c6b1b7bdc3c7c9cac6afb4bdc2c5c7c5c2a6acb7bcbcbebfbb',
        {7: 16384},
    ),
    17: (
        '010a476b6f4f0d010b73868c8d8b870c4c8f9f8aaaa7aa58799baf99b6c7c082'
        '79b3af9d75d9a57e50ac9a875ba884470a8c845c5e8e7c0b010d4c706f4b0a01',
        {0: 4266, 11: 7756, 17: 10, 19: 4352},
    ),
    23: (
        '0101405d532f01010166c0aa919c7501348dc2a58ba7a93863a7b68f8d939d5f'
        '64a68d898b898f5a32828284858a8d34015a81818c90640101012c5359310101',
        {0: 332, 5: 36, 8: 629, 9: 1557, 12: 8151, 15: 29, 18: 30, 19: 5620},
    ),
}


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
        print(f"    {seed}: (\n        '{text[:64]}'\n        '{text[64:]}',")
        print(f'        {histogram},\n    ),')
