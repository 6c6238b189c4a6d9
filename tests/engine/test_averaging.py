import pytest
import torch

from hyperbolic_seg.engine.averaging import average_weights


def states():
    first = dict(weight=torch.tensor([1.0, 2.0]), count=torch.tensor(3), words=torch.ones(2, 4))
    second = dict(weight=torch.tensor([3.0, 6.0]), count=torch.tensor(9), words=torch.zeros(5, 4))
    return [first, second]


def test_weights_are_averaged_and_the_rest_is_the_first_ones():
    averaged = average_weights(states(), [1.0, 3.0])
    torch.testing.assert_close(averaged['weight'], torch.tensor([2.5, 5.0]))
    assert averaged['count'] == 3
    assert torch.equal(averaged['words'], torch.ones(2, 4))  # other words, so no average


def test_the_precision_of_the_first_one_stays():
    first, second = states()
    first['weight'] = first['weight'].half()
    assert average_weights([first, second], [0.5, 0.5])['weight'].dtype == torch.float16


@pytest.mark.parametrize('weights', [[1.0], [1.0, -1.0], [0.0, 0.0]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match='expected one weight of at least 0, not all 0, for each of 2 states'):
        average_weights(states(), weights)


def test_checkpoints_of_different_models_are_refused():
    first, second = states()
    second['bias'] = torch.zeros(2)
    with pytest.raises(ValueError, match='1 are not in both, such as bias'):
        average_weights([first, second], [1.0, 1.0])


def test_the_tool_writes_a_checkpoint(tool, tmp_path):
    for name, state in zip('ab', states(), strict=True):
        torch.save(dict(state_dict=state, meta=dict(epoch=7)), tmp_path / f'{name}.pth')
    command = ['average', tmp_path / 'out.pth']
    done = tool(*command, tmp_path / 'a.pth', tmp_path / 'b.pth')
    assert done.returncode == 0, done.stderr
    written = torch.load(tmp_path / 'out.pth', weights_only=True)
    torch.testing.assert_close(written['state_dict']['weight'], torch.tensor([2.0, 4.0]))
    assert written['meta'] == dict(epoch=7)
    missing = tool(*command, tmp_path / 'none.pth')
    assert missing.returncode == 2
    assert 'none.pth' in missing.stderr
