"""CLIP whose last attention is that of a second backbone, such as DINO."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import timm
import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmseg.registry import MODELS
from safetensors.torch import load_file
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from hyperbolic_seg.geometry.numeric import full_precision
from hyperbolic_seg.models.backbones.open_clip_vision import OpenCLIPVisionBackbone
from hyperbolic_seg.models.backbones.towers import DenseOptions
from hyperbolic_seg.models.backbones.towers.base import POSITIONS
from hyperbolic_seg.models.backbones.towers.open_clip_vit import OpenCLIPViT
from hyperbolic_seg.models.backbones.towers.timm_vit import TimmViT
from hyperbolic_seg.options import check_number

_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@MODELS.register_module()
class ProxyCLIPBackbone(OpenCLIPVisionBackbone):
    """The vision transformer of an open_clip model with proxy attention (ProxyCLIP; Lan et al., ECCV 2024).

    Features of a second, frozen backbone say which patches belong together; :func:`proxy_attention` makes attention of
    them. It gathers the values of the last block of CLIP, enlarged to the grid of the second backbone. As in ClearCLIP,
    there is no residual stream and no feed-forward part. Images come normalized by the mean and standard deviation of
    CLIP; those of the second backbone are computed from them.

    Args:
        model: As for :class:`OpenCLIPVisionBackbone`, and so are ``pretrained`` and what is not described here.
        pretrained: A pretrained tag or a checkpoint file of the whole CLIP model.
        proxy: The second backbone: ``encoder``, a plain vision transformer of timm such as
            ``'vit_base_patch8_224.dino'``; ``weights``, ``'hub'`` for those of timm, a file with its state dict, or
            ``None`` for random ones, read by :meth:`init_weights`; and ``positions``, how its positional embeddings are
            resized, ``'scale'`` as in the released code of DINO, or ``'size'``.
        beta: How far above the mean the similarity of two patches has to be, as a multiple of the mean.
        gamma: Factor of the similarity in the softmax.
        positions: As for :class:`OpenCLIPVisionBackbone`; ``'scale'``, as in the released code.
        **kwargs: As for :class:`OpenCLIPVisionBackbone`, without ``dense`` and ``out_indices``; images are
            resized to ``resolution`` for both backbones.

    Raises:
        ValueError: A setting does not fit the models.
        TypeError: ``dense`` or ``out_indices`` is given, or an unknown option of the proxy.
    """

    proxy_shift: Tensor
    proxy_scale: Tensor

    def __init__(
        self,
        model: str = 'ViT-B-16',
        pretrained: str | None = 'openai',
        *,
        proxy: dict[str, Any],
        beta: float = 1.2,
        gamma: float = 3.0,
        positions: str = 'scale',
        **kwargs: Any,
    ) -> None:
        if given := {'dense', 'out_indices'} & set(kwargs):
            raise TypeError(f'{", ".join(sorted(given))}: the proxy makes the one dense feature map; leave it out')
        super().__init__(model, pretrained, dense='clearclip', positions=positions, **kwargs)
        if not isinstance(self.tower, OpenCLIPViT):
            raise ValueError(f'{model}: expected {OpenCLIPViT.description}, whose values a proxy can gather')
        check_number('beta', beta, least=0)
        check_number('gamma', gamma, above=0)
        self.beta, self.gamma = beta, gamma
        self.proxy_weights = proxy.get('weights')
        self.proxy, self.proxy_tower = _build_proxy(proxy)
        mean, std = (torch.tensor(self.proxy.pretrained_cfg[name]).view(3, 1, 1) for name in ('mean', 'std'))
        clip_mean, clip_std = (torch.tensor(values).view(3, 1, 1) for values in (_CLIP_MEAN, _CLIP_STD))
        self.register_buffer('proxy_scale', clip_std / std, persistent=False)
        self.register_buffer('proxy_shift', (clip_mean - mean) / std, persistent=False)

    def init_weights(self) -> None:
        """Load the weights of the vision tower and of the second backbone.

        Raises:
            RuntimeError: They cannot be downloaded or read, or belong to another model.
            FileNotFoundError: There is no such file.
        """
        super().init_weights()
        if self.proxy_weights is None:
            return
        name = self.proxy.pretrained_cfg['architecture']
        if self.proxy_weights == 'hub':
            tag = self.proxy.pretrained_cfg.get('tag')
            source = timm.create_model(f'{name}.{tag}' if tag else name, pretrained=True, num_classes=0)
            self.proxy.load_state_dict(source.state_dict())
        else:
            self.proxy.load_state_dict(_read_state(Path(self.proxy_weights)))
        print_log(f'the proxy {name} starts with the weights {self.proxy_weights}', 'current')

    def train(self, mode: bool = True) -> 'ProxyCLIPBackbone':
        """Switch between training and evaluation; the second backbone stays in evaluation."""
        super().train(mode)
        self.proxy.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the feature map in the joint space, one vector for each patch of the second backbone.

        Args:
            images: (N, 3, H, W).

        Returns:
            One map (N, C, h, w).
        """
        tower: Any = self.tower
        before_last, _, grid = tower.before_last(self.visual, self.resized(images, tower.patch_size(self.visual)))
        features = self.proxy_features(images)
        block = self.visual.transformer.resblocks[-1]
        tokens = block.ln_1(before_last[:, 1:])
        attention, width = block.attn, tokens.shape[-1]
        values = F.linear(tokens, attention.in_proj_weight[-width:], attention.in_proj_bias[-width:])
        values = values.transpose(1, 2).unflatten(2, grid)
        values = F.interpolate(values, size=features.shape[2:], mode='bilinear', align_corners=False)
        # All heads share the attention, so they need not be told apart.
        weights = proxy_attention(features, beta=self.beta, gamma=self.gamma).to(values)
        gathered = block.ls_1(attention.out_proj(weights @ values.flatten(2).transpose(1, 2)))
        dense = self.visual.ln_post(gathered) @ self.visual.proj
        return (dense.transpose(1, 2).unflatten(2, features.shape[2:]),)

    def proxy_features(self, images: Tensor) -> Tensor:
        """Return the features of the second backbone, (N, C, h, w), for images normalized for CLIP, (N, 3, H, W)."""
        images = self.resized(images, self.proxy.patch_embed.patch_size)
        as_tower = SimpleNamespace(trunk=self.proxy, head=nn.Identity())
        features: Tensor = self.proxy_tower.maps(as_tower, images * self.proxy_scale + self.proxy_shift)[-1]
        return features


def proxy_attention(features: Tensor, *, beta: float = 1.2, gamma: float = 3.0) -> Tensor:
    r"""Return attention between places that look alike, rows that sum to one, (N, h * w, h * w).

    With the cosines :math:`S` of the features and their mean :math:`\mu` over all pairs of an image, it is the softmax
    of :math:`\gamma (S - \beta \mu)` over the pairs where that is not negative (Lan et al., ECCV 2024, Eq. 5 to 7).
    Every place keeps itself, where the published formula would leave nothing at all.

    Args:
        features: (N, C, h, w).
        beta: Multiple of the mean.
        gamma: Factor.
    """
    with full_precision(features.device):
        unit = F.normalize(features.float().flatten(2), dim=1)
        similarity = unit.transpose(1, 2) @ unit
    score = gamma * (similarity - beta * similarity.mean((1, 2), keepdim=True))
    places = torch.arange(score.shape[-1], device=score.device)
    alike = (score >= 0) | (places[:, None] == places)
    return score.masked_fill(~alike, -torch.inf).softmax(-1)


def _build_proxy(options: dict[str, Any]) -> tuple[Any, TimmViT]:
    """Build the second backbone, with random weights, and what computes its features."""
    if unknown := set(options) - {'encoder', 'weights', 'positions'}:
        raise TypeError(f'proxy has {", ".join(sorted(unknown))}: expected encoder, weights and positions')
    positions = options.get('positions', 'scale')
    if positions not in POSITIONS:
        raise ValueError(f'proxy.positions={positions!r}: expected one of {POSITIONS}')
    name = options.get('encoder', 'vit_base_patch8_224.dino')
    proxy = timm.create_model(name, pretrained=False, num_classes=0)
    if not isinstance(proxy, VisionTransformer) or proxy.attn_pool is not None or proxy.pos_embed is None:
        raise ValueError(
            f'proxy.encoder={name!r}: expected a plain vision transformer of timm, such as vit_base_patch8_224.dino'
        )
    proxy.requires_grad_(False)
    return proxy.eval(), TimmViT(DenseOptions(dense='tokens', positions=positions))


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise FileNotFoundError(f'no weights of the proxy at {path}: expected None, "hub" or a file')
    if path.suffix == '.safetensors':
        return load_file(path)
    state: dict[str, Tensor] = torch.load(path, map_location='cpu', weights_only=True)
    return state
