"""No checkpoint runs code, whichever door it comes through."""

import os
import pickle
from collections import OrderedDict

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.engine import check_checkpoint
from tests.stack import needs_safe_loading

pytestmark = needs_safe_loading


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.mkdir, (str(self.file),)


@pytest.fixture
def trap(tmp_path):
    path, sprung = tmp_path / 'evil.pth', tmp_path / 'sprung'
    torch.save(dict(state_dict=OrderedDict(weight=torch.ones(2)), meta=Trap(sprung)), path)
    return path, sprung


def test_what_mmengine_saves_passes(tmp_path, capfd):
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(3))])
    history = HistoryBuffer()
    history.update(0.5)
    kinds = (np.float16, np.float32, np.float64, np.int32, np.int64, np.uint8, np.bool_)
    scores = OrderedDict((kind.__name__, kind(1)) for kind in kinds)
    saved = dict(
        state_dict=OrderedDict(weight=torch.ones(2)),
        optimizer=optimizer.state_dict(),
        message_hub=dict(log_scalars=OrderedDict(loss=history), runtime_info=scores),
        meta=dict(epoch=1, seed=0, experiment_name='x', dataset_meta=dict(classes=('a', 'b'), palette=[[0, 0, 0]])),
    )
    for zipped in (True, False):
        torch.save(saved, tmp_path / 'epoch_1.pth', _use_new_zipfile_serialization=zipped)
        check_checkpoint(tmp_path / 'epoch_1.pth')
        loaded = CheckpointLoader.load_checkpoint(str(tmp_path / 'epoch_1.pth'), 'cpu')
        assert loaded['message_hub']['runtime_info'] == scores
    said = ''.join(capfd.readouterr())
    assert 'Loads checkpoint by local backend' in said and 'Could not safely load' not in said
    check_checkpoint('https://example.org/weights.pth')  # left to MMEngine


def test_a_trap_is_named_and_not_sprung(trap):
    path, sprung = trap
    with pytest.raises(ValueError, match=r'evil\.pth is no plain checkpoint: loading it could run code.*mkdir'):
        check_checkpoint(path)
    with pytest.raises(ValueError, match='could run code'):
        HyperSegInferencer('unet_cloud.py', path)
    assert not sprung.exists()


@pytest.mark.parametrize('name', ['test', 'train'])
def test_no_training_and_no_test_springs_it(repository, tool, tmp_path, trap, name):
    path, sprung = trap
    config, work = repository / 'configs' / 'unet_cloud.py', ['--work-dir', tmp_path / 'work']
    arguments = [path, *work] if name == 'test' else [*work, '--cfg-options', f'load_from={path}']
    with pytest.raises(ValueError, match='could run code'):
        tool(name, config, *arguments)
    assert not sprung.exists()


def test_no_other_tool_springs_it(tool, tmp_path, trap):
    path, sprung = trap
    done = tool('average', tmp_path / 'out.pth', path, path)
    assert done.returncode == 2 and 'could run code' in done.stderr and not sprung.exists()


@pytest.mark.parametrize('content', [b'', b'no checkpoint', b'PK\x03\x04 half a zip', pickle.dumps([1, 2])[:-3]])
def test_what_is_no_checkpoint_is_named(tmp_path, content):
    (tmp_path / 'bad.pth').write_bytes(content)
    with pytest.raises(ValueError, match=r'bad\.pth is no'):
        check_checkpoint(tmp_path / 'bad.pth')
    with pytest.raises(FileNotFoundError, match='gone'):
        check_checkpoint(tmp_path / 'gone.pth')
