import sys

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from hyperbolic_seg.engine import tower_blocks
from hyperbolic_seg.engine.strategies import is_flexible, prepare_strategy
from tests import tiny_heads

FSDP = dict(runner_type='FlexibleRunner', strategy=dict(type='TowerFSDPStrategy'))
DEEPSPEED = dict(
    runner_type='FlexibleRunner',
    strategy=dict(type='DeepSpeedStrategy'),
    optim_wrapper=dict(type='DeepSpeedOptimWrapper'),
)
CLIPPED = dict(type='OptimWrapper', clip_grad=dict(max_norm=0.01))


@pytest.mark.parametrize(
    ('config', 'launcher', 'message'),
    [
        (dict(runner_type='MyRunner'), 'none', "runner_type='MyRunner': expected 'Runner' or 'FlexibleRunner'"),
        (dict(strategy=dict(type='FSDPStrategy')), 'none', "set runner_type='FlexibleRunner', or leave strategy out"),
        (dict(runner_type='FlexibleRunner', compile=True), 'none', 'does not read compile: leave it out'),
        (dict(FSDP, sync_bn='torch'), 'pytorch', 'does not read sync_bn: leave it out; set strategy.sync_bn'),
        (dict(FSDP, strategy=dict(type='Sharded')), 'pytorch', "strategy.type='Sharded': expected one of .*'FSDPStr"),
        (FSDP, 'none', 'TowerFSDPStrategy is for several processes: start them with tools/dist_train.sh'),
        (dict(FSDP, optim_wrapper=CLIPPED), 'pytorch', "'OptimWrapper' clips by the norm of the shard"),
        (dict(optim_wrapper=dict(type='FSDPOptimWrapper')), 'none', "set strategy.type='TowerFSDPStrategy'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(config, launcher, message):
    with pytest.raises(ValueError, match=message):
        prepare_strategy(Config(config), launcher)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(optim_wrapper=CLIPPED), "optim_wrapper.type='OptimWrapper': DeepSpeed takes the steps itself"),
        (dict(load_from='a.pth'), r"set model.init_cfg=dict\(type='Pretrained', checkpoint='a.pth'\)"),
        (dict(auto_scale_lr=dict(enable=True)), 'set optim_wrapper.optimizer.lr'),
    ],
)
def test_what_deepspeed_does_not_do_is_refused(monkeypatch, change, message):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: name)
    prepare_strategy(Config(DEEPSPEED), 'pytorch')
    with pytest.raises(ValueError, match=message):
        prepare_strategy(Config(DEEPSPEED | change), 'pytorch')


def test_deepspeed_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, 'deepspeed', None)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'hyperbolic-seg\[deepspeed\]'"):
        prepare_strategy(Config(DEEPSPEED), 'pytorch')


def test_strategies_work_without_gpus():
    cfg = Config(dict(runner_type='FlexibleRunner'))
    prepare_strategy(cfg, 'pytorch')
    assert is_flexible(cfg) and cfg.strategy.type == 'DDPStrategy' and cfg.strategy.model_wrapper.device_ids is None
    cfg = Config(dict(FSDP, optim_wrapper=dict(type='OptimWrapper', clip_grad=dict(type='value', clip_value=1.0))))
    prepare_strategy(cfg, 'pytorch')
    assert cfg.strategy.model_wrapper.device_id == 'cpu'
    cfg = Config(dict(runner_type='FlexibleRunner'))
    prepare_strategy(cfg, 'none')
    assert cfg.strategy == dict(type='SingleDeviceStrategy')


def test_blocks_of_towers_are_those_that_are_called(tmp_path):
    init_default_scope('mmseg')
    called = set()

    def note(block, *_):
        called.add(block)

    folders = tiny_heads.clip_folders(tmp_path)
    for name, expected in (('HyperCLIP', 2 + 2), ('on ViT', 2), ('SED', 12), ('distance', 0)):
        model = tiny_heads.build(name, folders)
        blocks = list(tower_blocks(model))
        for block in blocks:
            block.register_forward_hook(note)
        called.clear()
        model.train()(**model.data_preprocessor(tiny_heads.batch((32, 32)), True), mode='loss')
        assert len(blocks) == expected and called == set(blocks), name
