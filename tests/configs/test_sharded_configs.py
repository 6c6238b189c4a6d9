"""The configs of HyperCLIP under FSDP and DeepSpeed, shrunk: two processes train what plain ones do."""

import json

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from tests import processes, tiny_heads
from tests.tiny_coco import shrink_towers

STEPS = 3
EXACT = {'optim_wrapper.dtype': None}
WHOLE = {'strategy.bf16.enabled': False, 'strategy.inputs_to_half': None}
EARLY = {'train_cfg.max_iters': STEPS - 1, 'default_hooks.checkpoint.interval': 1}
FSDP, DEEPSPEED = 'hyperclip_vitb16_384_fsdp', 'hyperclip_vitb16_384_deepspeed'
AGAIN = ', resumed'
RUNS = {
    'plain': ('hyperclip_vitb16_384', {}),
    'float32': (FSDP, EXACT | EARLY),
    f'float32{AGAIN}': (FSDP, EXACT | dict(resume=True)),
    'plain, bfloat16': ('hyperclip_vitb16_384', {'optim_wrapper.type': 'CPUAmpOptimWrapper'}),
    'bfloat16': (FSDP, {}),
}
"""Trainings by their name: a config and its changes."""
ZERO = {
    'zero-2': (DEEPSPEED, WHOLE | EARLY),
    f'zero-2{AGAIN}': (DEEPSPEED, WHOLE | dict(resume=True)),
    'zero-2, bfloat16': (DEEPSPEED, {}),
    'zero-3': (DEEPSPEED, WHOLE | {'strategy.zero_optimization.stage': 3}),
}
SCRIPT = """
import json, os, runpy, sys
from mmengine.visualization import Visualizer
from hyperbolic_seg.visualization import HyperSegVisualizer

tool, runs = sys.argv[1], json.loads(sys.argv[2])
for config, folder in runs:
    for kind in (Visualizer, HyperSegVisualizer):
        kind._instance_dict.clear()  # those of other runs, whose folders they keep
    os.environ['MASTER_PORT'] = str(int(os.environ['MASTER_PORT']) + 1)  # the last store may be alive
    sys.argv = [tool, config, '--work-dir', folder, '--launcher', 'pytorch']
    runpy.run_path(tool, run_name='__main__')
"""


@pytest.fixture(scope='module')
def trained(repository, folder, coco, tmp_path_factory):
    """Run trainings one after the other in two processes, or two for each; return configs and folders by name."""
    root = tmp_path_factory.mktemp('trained')
    (root / 'work.py').write_text(SCRIPT)

    def run(runs, port, *, apart=False):
        configs, folders = {}, {}
        for name, (config, options) in runs.items():
            cfg = configs[name] = small(repository, config, folder, coco)
            cfg.merge_from_dict(options)
            cfg.dump(root / f'{name}.py')
            folders[name] = folders[name.removesuffix(AGAIN)] if AGAIN in name else root / f'work {name}'
        listed = [(str(root / f'{name}.py'), str(folders[name])) for name in runs]
        for start, part in enumerate([[one] for one in listed] if apart else [listed]):
            program = (root / 'work.py', repository / 'tools' / 'train.py', json.dumps(part))
            ranks = processes.run_ranks(2, *program, port=port + start, cwd=repository)
            assert [rank.returncode for rank in ranks] == [0, 0], ranks[0].stderr[-3000:]
        return configs, folders

    return run


@pytest.fixture(scope='module')
def fsdp(trained):
    return trained(RUNS, 29700)


@pytest.fixture(scope='module')
def zero(trained):
    pytest.importorskip('deepspeed', reason="pip install 'hyperbolic-seg[deepspeed]'")
    return trained({'plain': RUNS['plain']} | ZERO, 29720, apart=True)  # MMEngine registers its optimizers only once


def small(repository, name, folder, coco):
    """Read a config, and make it small and its images the same in every training."""
    cfg = shrink_towers(Config.fromfile(repository / 'configs' / 'hyperclip' / f'{name}.py'), folder, coco)
    cfg.train_dataloader.update(batch_size=1, sampler=dict(type='InfiniteSampler', shuffle=False))
    cfg.train_dataloader.dataset.pipeline = cfg.val_dataloader.dataset.pipeline  # nothing random
    cfg.val_dataloader.dataset.indices = 2
    cfg.model.data_preprocessor.size = (80, 80)
    cfg.train_cfg.update(max_iters=STEPS, val_interval=STEPS)
    cfg.param_scheduler[0].update(T_max=2 * STEPS, end=2 * STEPS)
    cfg.default_hooks.checkpoint.interval = STEPS
    return cfg


def logged(folder, key='loss'):
    """Return the values that every training step wrote to the logs of a work folder, over all runs in it."""
    lines = [line for path in sorted(folder.rglob('scalars.json')) for line in path.read_text().splitlines()]
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
    init_default_scope('mmseg')
    model = MODELS.build(ConfigDict(cfg.model))
    assert not model.load_state_dict(weights).missing_keys
    model.eval()
    with torch.no_grad():
        return model(**model.data_preprocessor(tiny_heads.batch((48, 48)), False), mode='tensor')


def test_fsdp_trains_what_plain_processes_do(fsdp):
    """In float32, with a checkpoint after two steps from which the third is resumed."""
    configs, folders = fsdp
    plain, sharded = folders['plain'], folders[f'float32{AGAIN}']
    assert logged(sharded) == pytest.approx(logged(plain), rel=1e-5)
    assert logged(sharded, 'grad_norm') == pytest.approx(logged(plain, 'grad_norm'), rel=1e-3)
    ours, theirs = weights_of(sharded), weights_of(plain)
    assert ours.keys() == theirs.keys()
    assert (moved(ours) - moved(theirs)).norm() < 0.01 * moved(theirs).norm()
    torch.testing.assert_close(logits(configs['plain'], ours), logits(configs['plain'], theirs), rtol=1e-3, atol=1e-3)


def test_fsdp_trains_in_bfloat16(fsdp):
    _, folders = fsdp
    assert logged(folders['bfloat16']) == pytest.approx(logged(folders['plain, bfloat16']), rel=1e-3)
    assert logged(folders['bfloat16']) != logged(folders['plain'])
    weights = [weights_of(folders[name]) for name in ('bfloat16', 'plain')]
    kinds, plain = ({key: value.dtype for key, value in each.items()} for each in weights)
    assert kinds == plain


@pytest.mark.parametrize('name', [f'zero-2{AGAIN}', 'zero-3'])
def test_deepspeed_trains_what_plain_processes_do(zero, name):
    _, folders = zero
    assert logged(folders[name]) == pytest.approx(logged(folders['plain']), rel=1e-5)


def test_deepspeed_trains_in_bfloat16(zero):
    """It rounds the weights that it starts from, too."""
    _, folders = zero
    assert logged(folders['zero-2, bfloat16']) == pytest.approx(logged(folders['plain']), rel=0.02)
    assert logged(folders['zero-2, bfloat16']) != logged(folders['plain'])
