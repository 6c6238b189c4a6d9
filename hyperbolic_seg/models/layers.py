"""The layers under names that configs know: of mmcv for building blocks, of MMSegmentation for the rest."""

from mmengine.registry import MODELS as ROOT_MODELS
from torch import nn

from hyperbolic_seg import layers

# Building blocks go to MMEngine's root, where conv_cfg, norm_cfg and act_cfg of every OpenMMLab project look.
BLOCKS: dict[str, type[nn.Module]] = {
    'HyperbolicConv2d': layers.HyperbolicConv2d,
    'HyperbolicBN': layers.HyperbolicBatchNorm2d,
    'HyperbolicSyncBN': layers.HyperbolicSyncBatchNorm,
    'HyperbolicReLU': layers.HyperbolicReLU,
}
CLASSIFIERS = (layers.HyperbolicMLR, layers.HyperbolicPrototypes, layers.EntailmentCones)
OTHERS = (
    layers.HyperbolicLinear,
    layers.HyperbolicAvgPool2d,
    layers.HyperbolicResidual,
    layers.HyperbolicAttention,
    layers.ContrastiveLoss,
    layers.EntailmentLoss,
    layers.HierarchyLoss,
    layers.CompositionalLoss,
    layers.RadiusLoss,
)

for name, block in BLOCKS.items():
    ROOT_MODELS.register_module(name=name, module=block)
for module in (*CLASSIFIERS, *OTHERS):
    ROOT_MODELS.register_module(module=module)
