"""The scaling of weights is that of the released code of HyperCLIP, also where the rim of the ball limits rows."""

import pytest
import torch
from safetensors.torch import load_file

from hyperbolic_seg.layers import RadiusScaling

# The record is float32 on the ball, where artanh amplifies rounding near the rim; in float64 both formulas are equal.
ROUNDING = 2e-5
CURVATURES = {'text_c1': 1.0, 'picture_c001': 0.01}

# An excerpt: length of a row w, |S w| / |w|, the first columns of S w / |w|, and those of the scaled row as recorded at
# curvature 1 and 0.01.
RECORDED = [
    (
        (0.5, 1.0805314, (-0.0570163, -0.1618968, -0.1390082)),
        {1.0: (-0.02850818, -0.08094836, -0.06950408), 0.01: (-0.02850816, -0.08094833, -0.0695041)},
    ),
    (
        (3.05, 1.1633299, (-0.0384988, -0.1033219, -0.0602900)),
        {1.0: (-0.1174214, -0.3151319, -0.1838846), 0.01: (-0.1174213, -0.3151318, -0.1838844)},
    ),
    (
        (20.0, 1.0947285, (-0.0658863, -0.0149941, 0.1380185)),
        {1.0: (-0.2287156, -0.05205024, 0.4791132), 0.01: (-1.317725, -0.2998827, 2.76037)},
    ),
    (
        (60.0, 1.1235596, (-0.0235815, 0.0604584, 0.1549539)),
        {1.0: (-0.0797595, 0.2044879, 0.5240997), 0.01: (-0.7975826, 2.044848, 5.240914)},
    ),
]


@pytest.mark.parametrize('curvature', [1.0, 0.01])
@pytest.mark.parametrize('row, recorded', RECORDED, ids=lambda value: str(value[0]) if isinstance(value, tuple) else '')
def test_recorded_rows_are_reproduced_by_their_lengths_and_first_columns(row, recorded, curvature):
    """A row of four equal columns and a diagonal S with the same S w in the first three, and the same |S w|."""
    length, stretch, first = row
    columns = torch.tensor([*first, (stretch**2 - sum(x**2 for x in first)) ** 0.5])
    scaling = RadiusScaling(4, block_size=1, curvature=curvature)
    with torch.no_grad():
        scaling.delta.copy_((2 * columns - 1).reshape(scaling.delta.shape))
    found = scaling(torch.full((1, 4), length / 2))[0]
    difference = found[:3] - torch.tensor(recorded[curvature])
    assert difference.norm() < ROUNDING * found.norm()


@pytest.fixture
def record(parity_folder):
    return load_file(parity_folder / 'scaling_record.safetensors')


def build(record, name):
    scaling = RadiusScaling(256, curvature=CURVATURES[name])
    with torch.no_grad():
        scaling.delta.copy_(record['blocks'].float() - torch.eye(128))
    return scaling


@pytest.mark.parametrize('name', CURVATURES)
def test_rows_of_every_length_are_those_of_the_record(record, name):
    expected = record[f'{name}.scaled']
    found = build(record, name)(record['rows']).detach()
    assert record['lengths'].max() == 60
    error = (found - expected).norm(dim=1)
    assert (error <= ROUNDING * expected.norm(dim=1)).all()
    longest = expected.norm(dim=1).max()
    torch.testing.assert_close(longest, torch.tensor(3.8002 / CURVATURES[name] ** 0.5), rtol=ROUNDING, atol=0)


@pytest.mark.parametrize('name', CURVATURES)
@pytest.mark.parametrize('part, rows', [('rows0to4', slice(0, 5)), ('rows6to10', slice(6, 11))])
def test_gradients_of_the_blocks_are_those_of_the_record(record, name, part, rows):
    scaling = build(record, name)
    (scaling(record['rows'][rows]) * record['upstream'][rows]).sum().backward()
    expected = record[f'{name}.grad_blocks_{part}.s4']
    assert (scaling.delta.grad[0, :, ::4, ::4] - expected).norm() < ROUNDING * expected.norm()
