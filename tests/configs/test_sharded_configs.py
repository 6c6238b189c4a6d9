"""The configs of HyperCLIP under FSDP and DeepSpeed, shrunk: two processes train what one does."""

import importlib.util
import json

import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from tests import processes, tiny_heads

STEPS = 3
needs_deepspeed = pytest.mark.skipif(
    importlib.util.find_spec('deepspeed') is None, reason="pip install 'hyperbolic-seg[deepspeed]'"
)


@pytest.fixture
def train(repository, tool, shrunk, tmp_path):
    """Train a config on the same images whatever the number of processes; return what each step logged."""

    def run(name, count, *, port=29643, **options):
        cfg = shrunk(name)
        cfg.train_dataloader.update(batch_size=2 // count, sampler=dict(type='InfiniteSampler', shuffle=False))
        cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline  # nothing random
        cfg.model.data_preprocessor.size = (80, 80)
        cfg.train_cfg.update(max_iters=STEPS, val_interval=STEPS)
        cfg.param_scheduler[0].update(T_max=2 * STEPS, end=2 * STEPS)
        cfg.default_hooks.checkpoint.interval = STEPS
        cfg.merge_from_dict(options)
        cfg.dump(tmp_path / 'config.py')
        folder = tmp_path / name
        arguments = (tmp_path / 'config.py', '--work-dir', folder)
        if count == 1:
            assert tool('train', *arguments).returncode == 0
        else:
            ranks = processes.run_ranks(count, repository / 'tools' / 'train.py', *arguments, port=port, cwd=repository)
            assert [rank.returncode for rank in ranks] == [0] * count, ranks[0].stderr[-3000:]
        return cfg, folder

    return run


def logged(folder, key='loss'):
    """What the steps of the last run in a folder logged."""
    lines = max(folder.rglob('scalars.json')).read_text().splitlines()
    return [step[key] for step in map(json.loads, lines) if key in step]


def weights_of(folder):
    return torch.load(folder / f'iter_{STEPS}.pth', weights_only=False)['state_dict']


def moved(weights):
    """The adapters, which start at zero."""
    found = {key: value.float() for key, value in weights.items() if key.endswith('delta')}
    assert len(found) == 5 and all(value.any() for value in found.values())
    return torch.cat([found[key].flatten() for key in sorted(found)])


def logits(cfg, weights):
    """The logits of a plain model with the weights."""
    model = MODELS.build(ConfigDict(cfg.model))
    assert not model.load_state_dict(weights).missing_keys
    model.eval()
    with torch.no_grad():
        return model(**model.data_preprocessor(tiny_heads.batch((48, 48)), False), mode='tensor')


def test_fsdp_trains_what_plain_processes_do(train):
    """In float32, with a checkpoint after two steps from which the third is resumed."""
    plain, alone = train('hyperclip_vitb16_384', 2)
    exact = {'strategy.model_wrapper.mixed_precision': None, 'default_hooks.checkpoint.interval': 1}
    _, sharded = train('hyperclip_vitb16_384_fsdp', 2, **exact, **{'train_cfg.max_iters': STEPS - 1})
    losses, norms = logged(sharded), logged(sharded, 'grad_norm')
    train('hyperclip_vitb16_384_fsdp', 2, **exact, resume=True)
    losses, norms = losses + logged(sharded), norms + logged(sharded, 'grad_norm')
    assert losses == pytest.approx(logged(alone), rel=1e-5)
    assert norms == pytest.approx(logged(alone, 'grad_norm'), rel=1e-3)
    ours, theirs = weights_of(sharded), weights_of(alone)
    assert ours.keys() == theirs.keys()
    assert (moved(ours) - moved(theirs)).norm() < 0.01 * moved(theirs).norm()
    torch.testing.assert_close(logits(plain, ours), logits(plain, theirs), rtol=1e-3, atol=1e-3)


def test_fsdp_trains_in_bfloat16(train):
    _, alone = train('hyperclip_vitb16_384', 2)
    _, sharded = train('hyperclip_vitb16_384_fsdp', 2)
    assert logged(sharded) == pytest.approx(logged(alone), rel=0.01)
    assert weights_of(sharded).keys() == weights_of(alone).keys()
    assert all(
        value.dtype == theirs.dtype
        for value, theirs in zip(weights_of(sharded).values(), weights_of(alone).values(), strict=True)
    )
