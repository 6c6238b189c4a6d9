"""Train, val and test, by whole groups of images."""

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence


def split_groups(
    sizes: Mapping[str, int],
    *,
    val_fraction: float = 0.2,
    test_fraction: float = 0.0,
    seed: int = 0,
    strata: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Assign whole groups of images to train, val and test.

    The groups are put in an order that depends on their names and the seed alone. Then the test
    split, and out of the rest the validation split, takes the set of groups whose images come
    closest to its fraction of all images. Of the sets that come equally close, the smaller sum
    wins, and then the groups that are early in the order. The search is exact: a subset sum by
    dynamic programming. Each split whose fraction is above zero gets at least one group, train
    first, then val, then test, as far as there are groups.

    With strata, each one's groups are split like that among themselves. Its share of a split's
    images is its part of the fraction, rounded so that the shares add up to the fraction of all
    images (largest remainders). If that leaves a split empty which could have a group, as with
    very few images, the strata are ignored. No stratum loses its last group to val or test.

    Args:
        sizes: Images in each group, by name of the group.
        val_fraction: Wanted part of the images in val.
        test_fraction: Wanted part of the images in test.
        seed: Another seed gives another order.
        strata: Stratum of each group; None for one stratum.

    Returns:
        The split of each group.
    """
    order = sorted(sizes, key=lambda name: _chance(seed, name))
    parts = {'test': test_fraction, 'val': val_fraction}
    wanted = {split: part for split, part in parts.items() if part}
    splits: dict[str, str] = {}
    if strata is not None and len(set(strata.values())) > 1:
        splits = _split_strata(order, sizes, wanted, seed, strata)
        used = {splits.get(name, 'train') for name in order}
        if len(used) < min(len(wanted) + 1, len(order)):
            splits = {}
    if not splits:
        splits = _split_whole(order, sizes, wanted)
    return {name: splits.get(name, 'train') for name in sizes}


def _split_whole(
    order: Sequence[str],
    sizes: Mapping[str, int],
    wanted: Mapping[str, float],
) -> dict[str, str]:
    """Choose the groups of the wanted splits; the remaining groups are for training."""
    splits: dict[str, str] = {}
    images = sum(sizes.values())
    for waiting, (split, part) in enumerate(wanted.items()):
        rest = [name for name in order if name not in splits]
        leave = len(wanted) - waiting
        chosen = closest_subset([sizes[name] for name in rest], part * images, leave)
        splits.update({rest[i]: split for i in chosen})
    return splits


def _split_strata(
    order: Sequence[str],
    sizes: Mapping[str, int],
    wanted: Mapping[str, float],
    seed: int,
    strata: Mapping[str, str],
) -> dict[str, str]:
    """Choose the groups of the wanted splits in each stratum."""
    splits: dict[str, str] = {}
    for split, part in wanted.items():
        for stratum, share in _shares(sizes, strata, part, seed).items():
            rest = [name for name in order if strata[name] == stratum and name not in splits]
            if share:
                chosen = closest_subset([sizes[name] for name in rest], share, leave=1)
                splits.update({rest[i]: split for i in chosen})
    return splits


def _chance(seed: int, name: str) -> tuple[bytes, str]:
    return hashlib.sha256(f'{seed}:{name}'.encode()).digest(), name


def _shares(
    sizes: Mapping[str, int],
    strata: Mapping[str, str],
    part: float,
    seed: int,
) -> dict[str, int]:
    """Divide a part of all images among the strata, in whole images."""
    images: Counter[str] = Counter()
    for name, size in sizes.items():
        images[strata[name]] += size
    exact = {stratum: part * count for stratum, count in images.items()}
    shares = {stratum: math.floor(share) for stratum, share in exact.items()}
    missing = max(0, round(part * sum(images.values())) - sum(shares.values()))
    shuffled = sorted(shares, key=lambda name: _chance(seed, name))
    by_remainder = sorted(shuffled, key=lambda name: shares[name] - exact[name])
    for stratum in by_remainder[:missing]:
        shares[stratum] += 1
    return shares


def closest_subset(sizes: Sequence[int], target: float, leave: int = 0) -> list[int]:
    """Choose at least one of some sizes so that their sum is closest to a target.

    Args:
        sizes: Positive numbers.
        target: The wanted sum.
        leave: How many must not be chosen, at least.

    Returns:
        Indices of the chosen ones, as early ones as possible; none if ``leave`` forbids any choice.
    """
    if len(sizes) <= leave:
        return []
    # reachable[i][n] has bit s set if the first i sizes have a subset with sum s that leaves out
    # n of them; n counts up to `leave`.
    reachable = [[1] + [0] * leave]
    for size in sizes:
        after = [sums << size for sums in reachable[-1]]
        for left, sums in enumerate(reachable[-1]):
            after[min(left + 1, leave)] |= sums
        reachable.append(after)
    sums = reachable[-1][leave]
    possible = (total for total in range(1, sums.bit_length()) if sums >> total & 1)
    total = min(possible, key=lambda total: (abs(total - target), total))
    chosen, left = [], leave
    for i in reversed(range(len(sizes))):
        before = [n for n in range(leave + 1) if reachable[i][n] >> total & 1]
        earlier = [n for n in before if min(n + 1, leave) == left]
        if earlier:
            left = earlier[-1]
        else:
            total -= sizes[i]
            chosen.append(i)
    return chosen[::-1]
