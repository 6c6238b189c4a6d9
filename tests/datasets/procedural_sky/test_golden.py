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
        '794b432820201f1f968a857e6726222289938c8882572525979f9a98958d8a75'
        '6a7e9195806d88a05e7d8f9574397a9046898c887b715049412e554c55410e19',
        {0: 6051, 13: 9475, 18: 858},
    ),
    1: (
        'a5a68b6093b6b7af745d6e88b1b5bbb5655a5368a59581a155aa88839fa1a8a6'
        '5778859b9493938e0d10100f141415100b0c0b0b0b0b0c0a0c0c0c0c0c0b0c0c',
        {0: 1740, 11: 3905, 13: 4600, 18: 6139},
    ),
    3: (
        '7e909d7d55463d368eb1a7a87258623dbecaa48678564e42b0ddb7785b514d4b'
        '99beb26d7b7271539ab0b176637a5f578c9a6a5f849969416556568f6d86413b',
        {0: 9283, 8: 7096, 17: 5},
    ),
    5: (
        '00106593916310001099aeaba9a8930f67b9c1b4ada9a66196bcc3b3aeaaaa90'
        '94b1b4b0aea9aa9065a9abafa9a5a7621092a9a6a4a693100010638f90621000',
        {12: 12312, 19: 4072},
    ),
    6: (
        '505153545658595a515354575a5e6264525456595e6771765355575b6270849e'
        '5355575b63728cc75355575a606b7982535456585c62686c52535556595b5e60',
        {0: 16320, 17: 64},
    ),
    8: (
        '916c43595c564f509b71655b504d4e4f83a9b2c4ac7f849a82929eaca88f8890'
        '7374858c929f94745e39444d4b527394565144333338485b69635f62636a6c6b',
        {0: 5461, 13: 2274, 14: 8343, 15: 306},
    ),
    12: (
        '828384868b8f686776737b828f936f7a495c80878c718e913e47717564608e81'
        '3d3f4a4f596d6b814b634e578087727b80837e738385886e8182828384848470',
        {0: 5961, 11: 9626, 15: 797},
    ),
    15: (
        'a6abacb2b6b6b1aaadb6b7babfc0beb8b5bcbfc1c7c9cac6bdc1c5c9cdcfcfcc'
        'c4c5c7cdced0d1cdc4cccccecdcdccc5b9c7cdd2cecac1b0acbbc4c8c3c3bfb8',
        {0: 658, 7: 15726},
    ),
    17: (
        '010b5178835b0d010b899d9e9e9f880c53a9b596aeb7a55c819db6a2c7ccb18a'
        '80aeadb8bae1a68a56a6a6b59bb5a2570b89a4a0979f870c010c577a76500b01',
        {0: 3890, 11: 8132, 17: 10, 19: 4352},
    ),
    23: (
        '0101405f543001010166b8a591997201348eb59f8aa8ae3962a1af8d8b96a962'
        '63aa978b8a8f965e34888989888e9436015b85879391670101012d545b320101',
        {0: 210, 5: 42, 8: 496, 9: 1242, 12: 8700, 15: 44, 18: 30, 19: 5620},
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
