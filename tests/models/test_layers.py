"""Our blocks where mmcv looks for them: in conv_cfg, norm_cfg and act_cfg of any model of any project."""

import os
import subprocess
import sys

import pytest
import torch
from mmcv.cnn import ConvModule, build_activation_layer, build_conv_layer, build_norm_layer
from mmengine.registry import MODELS as ROOT
from mmengine.registry import Registry, init_default_scope
from mmseg.registry import MODELS

from hyperbolic_seg import layers
from hyperbolic_seg.models.layers import BLOCKS, CLASSIFIERS, OTHERS

CONV, NORM, ACT = (dict(type=f'Hyperbolic{name}', c=0.3) for name in ('Conv2d', 'BN', 'ReLU'))


def test_mmcv_builds_the_hyperbolic_layers():
    conv = build_conv_layer(CONV, 3, 4, 3, stride=2, padding=1, bias=False)
    assert isinstance(conv, layers.HyperbolicConv2d) and conv.stride == (2, 2) and conv.bias is None
    name, norm = build_norm_layer(NORM, 4)
    assert isinstance(norm, layers.HyperbolicBatchNorm2d) and norm.num_features == 4
    assert name == 'bn'  # what mmcv names after batch norm in its modules' state
    assert isinstance(build_activation_layer(ACT), layers.HyperbolicReLU)
    assert all(one.curvature().item() == pytest.approx(0.3) for one in (conv, norm))
    frozen = build_norm_layer(dict(NORM, requires_grad=False), 4)[1]
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


@pytest.mark.parametrize('order', [('conv', 'norm', 'act'), ('norm', 'act', 'conv')])
@pytest.mark.parametrize('activation', [ACT, dict(type='ReLU')])
def test_conv_module_trains_with_the_hyperbolic_layers(order, activation):
    torch.manual_seed(0)
    module = ConvModule(4, 4, 3, padding=1, conv_cfg=CONV, norm_cfg=NORM, act_cfg=activation, order=order)
    module.init_weights()
    assert module.conv.bias is None  # as before any norm
    out = module(torch.randn(2, 4, 8, 8))
    out.square().mean().backward()
    assert out.shape == (2, 4, 8, 8)
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


@pytest.mark.parametrize(
    'backbone',
    [
        dict(
            type='ResNet',
            depth=18,
            base_channels=4,
            stem_channels=4,
            zero_init_residual=False,
            conv_cfg=CONV,
            norm_cfg=NORM,
        ),
        dict(type='MobileNetV2', widen_factor=0.1, conv_cfg=CONV, norm_cfg=NORM, act_cfg=dict(type='ReLU')),
        dict(type='UNet', base_channels=4, conv_cfg=CONV, norm_cfg=NORM, act_cfg=ACT),
    ],
    ids=lambda cfg: cfg['type'],
)
def test_backbones_become_hyperbolic_and_train(backbone):
    torch.manual_seed(0)
    model = MODELS.build(backbone)
    model.init_weights()
    kinds = {type(module) for module in model.modules()}
    assert {layers.HyperbolicConv2d, layers.HyperbolicBatchNorm2d} <= kinds
    assert torch.nn.BatchNorm2d not in kinds
    model.train()
    features = model(torch.randn(2, 3, 64, 64))
    sum(one.square().mean() for one in features).backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    assert sum(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients) > 0.9 * len(gradients)


def test_other_projects_find_them_too():
    other = Registry('model', scope='otherproject', parent=ROOT)
    init_default_scope('mmseg')
    for name in (*BLOCKS, *(module.__name__ for module in (*CLASSIFIERS, *OTHERS))):
        assert other.get(name) is not None, name
    assert isinstance(other.build(dict(type='HyperbolicMLR', in_channels=3, num_classes=2)), layers.HyperbolicMLR)


@pytest.mark.parametrize('line', ['import hyperbolic_seg.plugin', 'import mmengine, hyperbolic_seg'])
def test_one_import_registers_everything(line):
    """The second line is the import of a config that names the package itself in its custom_imports."""
    code = f"""
{line}
from mmcv.cnn import build_conv_layer
print(type(build_conv_layer(dict(type='HyperbolicConv2d'), 3, 4, 3)).__name__)
"""
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONWARNINGS'}
    done = subprocess.run([sys.executable, '-c', code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == 'HyperbolicConv2d'
    assert 'Traceback' not in done.stderr
