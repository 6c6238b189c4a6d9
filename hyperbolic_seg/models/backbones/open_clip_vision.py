"""The vision towers of open_clip as backbones, with dense features in the joint space of CLIP."""

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import interpolate

from hyperbolic_seg.layers.adapters import add_to_tower, load_tower, merge_tower
from hyperbolic_seg.layers.freezing import train_only
from hyperbolic_seg.models.backbones.dense_attention import DENSE
from hyperbolic_seg.models.backbones.towers import DenseOptions, find_tower
from hyperbolic_seg.models.backbones.towers.base import POSITIONS
from hyperbolic_seg.options import check_number, check_size
from hyperbolic_seg.text.open_clip import build_open_clip, check_source, load_open_clip


@MODELS.register_module()
class OpenCLIPVisionBackbone(BaseModule):
    """The vision transformer or ConvNeXt of an open_clip model.

    The towers are

    - transformers of open_clip with plain attention: CLIP of OpenAI, LAION, DataComp, DFN, MetaCLIP and CLIPA;
    - transformers of timm, with a class token, a mean or attention pooling: SigLIP, SigLIP 2, PE-Core, EVA02-CLIP
      (:class:`~hyperbolic_seg.models.backbones.towers.timm_vit.TimmViT` says what attention pooling does to a patch);
    - ConvNeXts.

    The last feature map lies in the joint space of CLIP, where the text embeddings of the same model are: each of its
    vectors is compared with a word as CLIP compares a whole image. Before it come feature maps of the tower itself,
    which guide what refines the comparison.

    Images of any size are read. For a transformer they are resized to whole patches, and its positional embeddings
    are resized too. Images come in RGB, normalized by the mean and standard deviation of the model: those of CLIP
    (``configs/_base_/models/clip_vit.py``), but 127.5 and 127.5 for SigLIP and PE-Core (``clip_siglip2.py`` and
    ``clip_pe_core.py`` beside it).

    The sigmoid loss of SigLIP has a bias beside its scale. Both are the same for all words, so the most likely word is
    that of the highest cosine, as for the other models.

    Args:
        model: A model name of open_clip such as ``'ViT-B-16'``, or with one of its schemas, ``'hf-hub:'`` and
            ``'local-dir:'``.
        pretrained: A pretrained tag of open_clip such as ``'openai'``, or a checkpoint file of the whole model, vision
            and text. Read by :meth:`init_weights`, so a checkpoint of a training loads without it. ``None`` for a
            schema.
        quick_gelu: Build with QuickGELU, which a checkpoint *file* of OpenAI's weights needs; a tag brings it along.
        dense: How the last block of a transformer makes dense features: ``'maskclip'``, ``'catseg'``, ``'sclip'``,
            ``'clearclip'``, ``'naclip'`` or ``'tokens'``; see
            :func:`~hyperbolic_seg.models.backbones.dense_attention.dense_block`. ``'catseg'`` needs a class token,
            which SigLIP lacks. The features of a ConvNeXt are dense as they are.
        out_indices: Blocks of a transformer, or stages of a ConvNeXt, whose outputs are returned too, from 0 on, in
            ascending order.
        positions: How the positional embeddings of a transformer are resized, bicubically in both cases: ``'size'``, to
            the size of the grid, or ``'scale'``, by (n + 0.1) / m for a grid of n instead of m patches, as in the
            released code of SCLIP and ClearCLIP. Rotary ones (PE-Core, EVA02-CLIP) are computed for the grid.
        activation: ``'gelu'`` for the exact GELU in the blocks of a transformer whatever the weights were trained with,
            as in the released configuration of MaskCLIP; ``None`` for that of the model.
        norm_eps: Constant of the layer norms of a transformer, 1e-6 in the released configuration of MaskCLIP; ``None``
            for that of the model, 1e-5.
        resolution: Height and width that images are resized to before anything else, such as the resolution that the
            tower was trained at; ``None`` keeps their size.
        trainable: Regular expressions, such as ``('attn',)``. Parameters train if one of them is found in their name;
            all others are frozen. ``('',)`` trains all. Parameters that no feature map reads stay frozen, having no
            gradient: separate keys of the last block for ``'maskclip'``, say, or its feed-forward part for
            ``'clearclip'``.
        adapter: Options of :func:`~hyperbolic_seg.layers.adapters.add_to_tower`, which adapts the frozen weights of the
            attention, such as ``dict(type='RadiusScaling', block_size=128, curvature=0.01)`` of HyperCLIP; ``None`` for
            none. Adapters train whatever ``trainable`` says, but not those of weights that no feature map reads. Only
            transformers have these weights. Those of an attention pooling are not adapted.
        antialias: Average pixels where images are resized, as by default. The released code of CAT-Seg does not.
        with_cp: Recompute activations in the backward pass instead of keeping them.
        init_cfg: As for :class:`mmengine.model.BaseModule`.

    Raises:
        ValueError: The model has another tower, or a setting does not fit it.
        TypeError: A setting has another type.
        RuntimeError: open_clip has no such model.
    """

    def __init__(
        self,
        model: str = 'ViT-B-16',
        pretrained: str | None = 'openai',
        *,
        quick_gelu: bool = False,
        dense: str = 'maskclip',
        out_indices: Sequence[int] = (),
        positions: str = 'size',
        activation: str | None = None,
        norm_eps: float | None = None,
        resolution: Sequence[int] | None = None,
        trainable: Sequence[str] = (),
        adapter: dict[str, Any] | None = None,
        antialias: bool = True,
        with_cp: bool = False,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_source(model, pretrained)
        if dense not in DENSE:
            raise ValueError(f'dense={dense!r}: expected one of {DENSE}')
        if positions not in POSITIONS:
            raise ValueError(f'positions={positions!r}: expected one of {POSITIONS}')
        if activation not in (None, 'gelu'):
            raise ValueError(f"activation={activation!r}: expected 'gelu', or None for that of the model")
        if norm_eps is not None:
            check_number('norm_eps', norm_eps, above=0)
        if resolution is not None:
            check_size('resolution', resolution)
        self.source: dict[str, Any] = dict(model=model, pretrained=pretrained, quick_gelu=quick_gelu)
        self.antialias = antialias
        self.resolution = None if resolution is None else tuple(resolution)
        options = DenseOptions(dense, tuple(out_indices), positions, activation, norm_eps, with_cp)
        whole: Any = build_open_clip(model, pretrained, quick_gelu=quick_gelu)
        self.visual: Any = whole.visual
        self.tower = find_tower(model, self.visual, options)
        self.tower.set_details(self.visual)
        train_only(self.visual, trainable)
        self.frozen = not trainable
        if adapter is not None:
            add_to_tower(self.visual, **adapter)
        for parameter in self.tower.unread(self.visual):
            parameter.requires_grad_(False)

    def init_weights(self) -> None:
        """Load the weights of the vision tower.

        Raises:
            RuntimeError: They cannot be downloaded or read; the message says what can be done.
        """
        whole: Any = load_open_clip(**self.source)
        super().init_weights()
        load_tower(self.visual, whole.visual.state_dict())
        print_log(f'the vision tower starts with {self.source}', 'current')

    def merge_adapter(self) -> 'OpenCLIPVisionBackbone':
        """Merge adapters and split projections into weights with open_clip's names, in place; return the backbone."""
        merge_tower(self.visual)
        return self

    def blocks(self) -> Iterator[nn.Module]:
        """Yield the blocks of the tower that are called as modules, each of which can be sharded by itself."""
        yield from self.tower.blocks(self.visual)

    def train(self, mode: bool = True) -> 'OpenCLIPVisionBackbone':
        """Switch between training and evaluation; a tower that is frozen as a whole stays in evaluation."""
        super().train(mode)
        self.visual.train(mode and not self.frozen)
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps of ``out_indices``, then the one in the joint space.

        Args:
            images: (N, 3, H, W).

        Returns:
            Maps (N, C, h, w), of a transformer with one vector for each patch; the last one has the dimensions of the
            text embeddings.
        """
        return self.tower.maps(self.visual, self.resized(images, self.tower.patch_size(self.visual)))

    def resized(self, images: Tensor, patch: Sequence[int]) -> Tensor:
        """Return images of ``resolution``, or of their own size, rounded up to whole patches so that no border is lost.

        Args:
            images: (N, 3, H, W).
            patch: Height and width of a patch.
        """
        wanted = images.shape[2:] if self.resolution is None else self.resolution
        size = tuple(side + -side % step for side, step in zip(wanted, patch, strict=True))
        if tuple(images.shape[2:]) == size:
            return images
        return interpolate(images, size=size, mode='bilinear', align_corners=False, antialias=self.antialias)
