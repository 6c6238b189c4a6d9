import pytest
import torch
import torch.distributed
from mmengine.config import Config

from hyperbolic_seg.engine import CPUAmpOptimWrapper
from hyperbolic_seg.engine.launch import enable_amp, enable_tta, finish_launch, prepare_launch, set_work_dir


def test_the_work_dir_is_given_or_configured_or_named_after_the_config():
    for given, configured, expected in [
        ('a', 'b', 'a'),
        (None, 'b', 'b'),
        (None, None, 'work_dirs/unet_cloud'),
    ]:
        cfg = Config(dict(work_dir=configured))
        set_work_dir(cfg, given, 'configs/unet_cloud.py')
        assert cfg.work_dir == expected


def test_mixed_precision_on_a_cpu_computes_in_bfloat16():
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper')))
    enable_amp(cfg)
    assert cfg.optim_wrapper.type == 'CPUAmpOptimWrapper'
    model = torch.nn.Linear(3, 2)
    wrapper = CPUAmpOptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    before = model.weight.detach().clone()
    with wrapper.optim_context(model):
        output = model(torch.ones(1, 3))
        assert output.dtype == torch.bfloat16
    wrapper.update_params(output.float().sum())
    assert model.weight.dtype == torch.float32
    assert not torch.equal(model.weight, before)


def test_views_that_cannot_be_averaged_are_refused():
    model, steps = dict(type='HyperCLIPSegmentor'), [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    cfg = Config(dict(model=model, test_dataloader=dict(dataset=dict(pipeline=steps))))
    with pytest.raises(ValueError, match='--tta needs a tta_model'):
        enable_tta(cfg)
    cfg.tta_model = dict(type='SegTTAModel')
    with pytest.raises(ValueError, match=r"set tta_model=dict\(type='HyperCLIPTTAModel'\)"):
        enable_tta(cfg)
    cfg.tta_model = dict(type='HyperCLIPTTAModel')
    with pytest.raises(ValueError, match=r"none are in \['LoadImageFromFile', 'PackSegInputs'\]: set tta_pipeline"):
        enable_tta(cfg)


def test_views_are_normalized_as_images_are():
    steps = [dict(type='LoadVerifiedImage'), dict(type='LoadVocabularyAnnotations'), dict(type='PackSegInputs')]
    own = dict(type='SegDataPreProcessor', mean=[1.0] * 3)
    cfg = Config(
        dict(
            model=dict(type='HyperCLIPSegmentor', data_preprocessor=own),
            data_preprocessor=dict(type='SegDataPreProcessor', mean=[2.0] * 3),
            test_dataloader=dict(dataset=dict(pipeline=steps)),
            tta_model=dict(type='HyperCLIPTTAModel'),
        )
    )
    enable_tta(cfg)
    assert cfg.model.data_preprocessor == own and cfg.model.module.data_preprocessor == own


def test_what_cannot_be_launched_is_refused():
    with pytest.raises(ValueError, match="--amp works with the type OptimWrapper, the config has 'DeepSpeed'"):
        enable_amp(Config(dict(optim_wrapper=dict(type='DeepSpeed'))))
    with pytest.raises(ValueError, match='without GPUs the launchers are'):
        prepare_launch(Config(), 'mpi')
    cfg = Config()
    prepare_launch(cfg, 'none')
    assert cfg.launcher == 'none'
    assert 'model_wrapper_cfg' not in cfg


def test_the_group_of_processes_is_left(tmp_path):
    init = f'file://{tmp_path}/store'
    torch.distributed.init_process_group('gloo', init_method=init, rank=0, world_size=1)
    finish_launch()
    assert not torch.distributed.is_initialized()
    finish_launch()  # and where there is none, nothing happens
