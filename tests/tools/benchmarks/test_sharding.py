"""Memory of parameters, gradients and optimizer states in one process of a sharded training."""

import re

import pytest

SMALL = ('configs/hyperclip_unet_cloud.py', '--cfg-options', 'model.backbone.weights=None')


def test_shares_are_those_of_the_parameters(tool):
    done = tool('benchmarks/sharding', *SMALL, '--processes', 2)
    assert done.returncode == 0, done.stderr
    every, trained = (
        int(count.replace(',', '')) for count in re.search(r': ([\d,]+) p.* ([\d,]+) train', done.stdout).groups()
    )
    rows = {
        way: [float(part) for part in parts.split(' | ')]
        for way, parts in re.findall(r'^\| (\S+), \S+ \| ([\d. |]+) \|$', done.stdout, re.M)
    }
    mib = 2**20
    assert rows['DDP'] == pytest.approx(
        [4 * every / mib, 4 * trained / mib, 8 * trained / mib, (4 * every + 12 * trained) / mib], abs=0.06
    )
    assert rows['ZeRO-2'][1:3] == pytest.approx([trained / mib, 6 * trained / mib], abs=0.06)
    assert rows['FSDP'][:3] == pytest.approx([2 * every / mib, 2 * every / mib, 4 * trained / mib], abs=0.06)
    assert all(parts[3] == pytest.approx(sum(parts[:3]), abs=0.2) for parts in rows.values())
    assert tool('benchmarks/sharding', *SMALL, '--processes', 1).returncode == 2
