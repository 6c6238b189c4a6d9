"""Stored statistics of a few pictures, so that no change of the look goes unnoticed.

If a change is meant, run this file as a program and paste what it prints over ``GOLDEN``.
"""

import numpy as np
import pytest

from hyperbolic_seg.datasets.procedural_sky import render_sky

SIZE = 128

# Per seed: grey levels of an 8x8 thumbnail in hexadecimal, and pixels per label.
GOLDEN: dict[int, tuple[str, dict[int, int]]] = {
    0: (
        '844c41261f1f1e1e9f85807a6e2521208b8f88847d542423949c9795928a8772'
        '677b8f927d6b869e5b7b8c927137788e43888b88796e4d463f2c534a523f0d18',
        {0: 6186, 13: 9340, 18: 858},
    ),
    1: (
        'bdbe9d689bc8c7c276637597c3c9c8c3695b5a73b7a78eb355b08e8ca7a9b4ae'
        '577d8ba09b989a950d100f0f141415100b0c0b0a0b0b0c0a0b0b0b0b0b0b0c0b',
        {0: 2157, 11: 3732, 13: 4356, 18: 6139},
    ),
    3: (
        '7685917651423a3486a69e9e6c545c3ab4c09d8072514b3fa8d7b072564d4a48'
        '90b3a767756d6b4f90a6a6715e745a53828f655b7b8d633e5f525286677e3e38',
        {0: 10109, 8: 6270, 17: 5},
    ),
    5: (
        '001063918f6110001098aca9a7a6920f66b7bfb2aaa7a46094bac1b1aca8a88e'
        '92aeb1aeaca7a88e63a7a9ada7a3a5610f90a7a4a2a4910f000f628d8e610f00',
        {12: 12312, 19: 4072},
    ),
    6: (
        '4b4c4e4f505253534c4e4f5154575b5d4d4f5153585f696e4e4f52555b687c97'
        '4e5052555c6a84c24e5051545963717a4e4f5153565b61644d4e505153555859',
        {0: 16320, 17: 64},
    ),
    8: (
        '765c415153524b4b846a62574d49494b7aa2afc1a87c7c887e859aa9a68c7479'
        '6f72828a8f9c8c6c5c38434b49516d8f534e413131354558665f5c5e60676867',
        {0: 5789, 13: 2240, 14: 8087, 15: 268},
    ),
    12: (
        '7e7f8082868a61617370787d8b8e697347597d84876b88893c456e71605a887a'
        '3c3d474b5467657a49604b537c836c767c7f7b6f808184697e7f7f808080816d',
        {0: 6701, 11: 8951, 15: 732},
    ),
    15: (
        'a5aaabb1b5b4b0a8acb5b6b9bebfbdb7b4bbbec0c6c7c7c4bcc0c3c8cbcdcdc9'
        'c2c4c6cccdcecfcac2cacacccbcbcac3b8c5cbd0ccc8c0aeabb9c2c6c1c1beb7',
        {0: 840, 7: 15544},
    ),
    17: (
        '010a486c76510c010b7d85908f917b0c4c8b9981a29c945377939891b2b89a7c'
        '6b98a0a496da8f7b4d93969a79998a4e0b7c837e7a8b7d0b010b4f74704b0a01',
        {0: 4266, 11: 7756, 17: 10, 19: 4352},
    ),
    23: (
        '01013f5e532f01010165b6a38e977001338cb39c87a3a638609eac8a89929d5f'
        '619f8f8887868d5b3482848585898d34015a82848e8d640101012c5259310101',
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
