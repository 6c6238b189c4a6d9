"""HyperCLIPHead: pixels classified by their place among tuned text embeddings in hyperbolic space."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.geometry import polar_distance, polar_mlr_logits, safe_norm, unit
from hyperbolic_seg.geometry.precision import full_precision
from hyperbolic_seg.layers import Curvature
from hyperbolic_seg.models.decode_heads.text_bank import TextBank, check_enough
from hyperbolic_seg.models.losses import HierarchicalCrossEntropyLoss
from hyperbolic_seg.text import Taxonomy, Vocabulary

LOGITS = ('distance', 'mlr', 'cosine')
_LARGEST_SCALE = 100.0


@MODELS.register_module()
class HyperCLIPHead(FCNHead):
    r"""Classify pixels against text embeddings in hyperbolic space.

    The features of a dense encoder are projected to the text's dimension D and read, as the embeddings of
    the words are, as tangent vectors at the origin (LSeg's design in HyperCLIP's geometry: Peng et al., CVPR
    2025). The logits are

    - ``'distance'``: minus the hyperbolic distance between pixel and word;
    - ``'mlr'``: the signed distance to the hyperplane through or beside the origin whose normal is the
      word (hyperbolic multinomial logistic regression; the offset is a learned share of the word's length);
    - ``'cosine'``: the cosine, the Euclidean control with the same parameters but the curvature;

    times a learned temperature. The hyperbolic radius of a pixel, ``2 |v|``, is an output beside them.

    A pixel's embedding is never formed: with :math:`v = P f + b`, the inner products are
    :math:`\langle f, P^\top t\rangle + \langle b, t\rangle` and the length is a quadratic form in ``f``, so
    memory grows by K per pixel and not by D.

    Args:
        vocabulary: What the head is trained to name: a built-in vocabulary, a YAML file or a list of prompts.
        text_encoder: Config of the frozen text encoder, such as :class:`OpenCLIPTextEncoder`.
        text_dims: D, the size of its embeddings (384 for the offline tower, 512 for ViT-B CLIP).
        embed_dims: Project words and pixels to a space of fewer dimensions; ``None`` keeps those of the text.
        taxonomy: A tree of words, a built-in vocabulary or a YAML file. A word that is an inner node of it is then
            as probable as all its leaves together, and a checkpoint carries all its words; ``None`` takes every word
            by itself.
        text_losses: Configs of losses on the tuned embeddings of the taxonomy's nodes, such as
            :class:`TextEntailmentLoss` and :class:`TextRadiusLoss`.
        wording: Options of :meth:`TextBank.sample`, to train with other words in every step, so that the head answers
            to prompts in words of their own; ``None`` trains with the mean over all words of a concept.
        reading: Options of :func:`~hyperbolic_seg.models.decode_heads.text_bank.read_through`, by which prompts that
            are no words of the taxonomy are moved towards those that are; ``None`` takes them as they are encoded.
        projection: Project the features to the text's dimensions; ``False`` takes them as they are, which lie in the
            space of the text already (:class:`OpenCLIPVisionBackbone`), so that nothing needs to be trained.
        tuner: Options of :class:`RadiusTuner`, or ``None`` to leave the text as it is.
        logits: ``'distance'``, ``'mlr'`` or ``'cosine'``.
        curvature: Options of :class:`Curvature`: ``value``, ``learned``, ``bounds``.
        temperature: Divides the logits, at the start; kept above 0.01.
        in_channels: Channels of the encoder's features.
        channels: Channels before the projection.
        num_convs: 3x3 convolutions before the projection; with 0 ``channels`` is ``in_channels``.
        **kwargs: As for :class:`mmseg.models.FCNHead`; ``num_classes`` follows the vocabulary.

    Raises:
        ValueError: ``logits``, ``num_classes`` or the channels do not fit.
    """

    def __init__(
        self,
        vocabulary: str | Sequence[str],
        text_encoder: dict,
        text_dims: int,
        *,
        embed_dims: int | None = None,
        taxonomy: str | None = None,
        text_losses: Sequence[dict] = (),
        wording: dict | None = None,
        reading: dict | None = None,
        projection: bool = True,
        tuner: dict | None = None,
        logits: str = 'distance',
        curvature: dict | None = None,
        temperature: float = 0.2,
        num_classes: int | None = None,
        **kwargs: Any,
    ) -> None:
        if logits not in LOGITS:
            raise ValueError(f'logits={logits!r}: expected one of {LOGITS}')
        tree = None if taxonomy is None else Taxonomy.load(taxonomy)
        if text_losses and tree is None:
            raise ValueError('text_losses are on the nodes of a taxonomy: give one, such as taxonomy="sky"')
        if reading is not None and tree is None:
            raise ValueError('reading is through the words of a taxonomy: give one, such as taxonomy="sky"')
        asked = Vocabulary.load(vocabulary)
        words, places = _expanded(asked, tree)
        lexicon = None if tree is None else tree.nodes
        bank = TextBank(MODELS.build(text_encoder), words, embed_dims=text_dims, lexicon=lexicon, reading=reading)
        count = len(asked)
        if num_classes not in (None, count):
            raise ValueError(
                f'num_classes={num_classes}, but the vocabulary names {count} concepts: '
                'leave num_classes out, it follows the vocabulary'
            )
        kwargs.setdefault('init_cfg', None)
        super().__init__(num_classes=count, out_channels=count, **kwargs)
        del self.conv_seg  # its place is taken by the text
        self.logits, self.wording = logits, wording
        self.text, self.taxonomy, self._vocabulary, self._places = bank, tree, asked, places
        self.text_losses = nn.ModuleList(MODELS.build(dict(loss, taxonomy=tree)) for loss in text_losses)
        self.tuner = MODELS.build(dict(type='RadiusTuner', embed_dims=text_dims, **tuner)) if tuner else None
        self.reduction = nn.Linear(text_dims, embed_dims, bias=False) if embed_dims else None
        dims = embed_dims or text_dims
        if not projection and self.channels != dims:
            raise ValueError(
                f'projection=False takes features of {self.channels} channels for embeddings of {dims} dimensions: '
                'expected as many'
            )
        self.projection = nn.Linear(self.channels, dims) if projection else None
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        if logits != 'cosine':
            self.curvature = Curvature(**(curvature or {}))
        if logits == 'mlr':
            self.offset = nn.Parameter(torch.zeros(()))

    def init_weights(self) -> None:
        """Initialise, and encode the vocabulary, so that a missing encoder is noticed before the training."""
        super().init_weights()
        # A pixel is then about as long as its features are large, near the length 1 of a word.
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=(self.channels * self.projection.out_features) ** -0.5)
            nn.init.zeros_(self.projection.bias)
        if self.reduction is not None:  # as long as before, on average
            nn.init.orthogonal_(self.reduction.weight, (self.text.embed_dims / self.reduction.out_features) ** 0.5)
        self.text()

    @property
    def vocabulary(self) -> Vocabulary:
        """What the head names now."""
        return self._vocabulary

    def set_vocabulary(self, prompts: str | Sequence[str] | Vocabulary) -> None:
        """Name other things from now on, without training.

        Args:
            prompts: A list of prompts, a built-in vocabulary or a YAML file; see :meth:`Vocabulary.load`.
        """
        asked = Vocabulary.load(prompts)
        words, places = _expanded(asked, self.taxonomy)
        self.text.set_vocabulary(words)
        self._vocabulary, self._places = asked, places
        self.num_classes = self.out_channels = len(asked)

    def text_embeddings(self) -> Tensor:
        """Return the tuned embeddings of the vocabulary, (K, D) or (K, embed_dims), with leaves for inner nodes."""
        return self._tuned(self.text())

    def _tuned(self, embeddings: Tensor) -> Tensor:
        embeddings = embeddings if self.tuner is None else self.tuner(embeddings)
        if self.reduction is None:
            return embeddings
        with full_precision(embeddings.device):
            return self.reduction(embeddings.to(self.reduction.weight))

    @torch.no_grad()
    def text_radius(self) -> dict[str, float]:
        """Return the hyperbolic radius of every word after tuning; before it, all are at 2."""
        return dict(zip(self.text.vocabulary.names, (2 * safe_norm(self.text_embeddings())).tolist(), strict=True))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return logits (N, K, H, W) for the feature maps of the encoder."""
        return self.forward_with_radius(inputs)[0]

    def forward_with_radius(self, inputs: Sequence[Tensor], words: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits (N, K, H, W) and the hyperbolic radius of every pixel, (N, 1, H, W).

        Args:
            inputs: The feature maps of the encoder.
            words: Tuned embeddings to classify by, (K, D), in the place of :meth:`text_embeddings`.
        """
        features = self._forward_feature(inputs)
        if self.dropout is not None:
            features = self.dropout(features)
        words = self.text_embeddings() if words is None else words
        norm, components = self._norm_and_components(features, unit(words))
        logits = self._logits(norm, components, safe_norm(words).view(1, -1, 1, 1))
        return self._gathered(logits), 2 * norm

    def _gathered(self, logits: Tensor) -> Tensor:
        """Add up the probabilities of the words of every concept."""
        if len(self._places) == len(self._vocabulary):
            return logits
        parts = [[i for i, place in enumerate(self._places) if place == k] for k in range(len(self._vocabulary))]
        return torch.stack([logits[:, part].logsumexp(1) for part in parts], 1)

    def _norm_and_components(self, features: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Length of every pixel's embedding, (N, 1, H, W), and its components along the words, (N, K, H, W)."""
        if self.projection is None:
            with full_precision(features.device):
                components = F.conv2d(features.float(), directions[..., None, None])
            return safe_norm(features, 1, keepdim=True), components
        weight, bias = self.projection.weight.float(), self.projection.bias.float()
        with full_precision(features.device):
            kernel, shift = directions @ weight, directions @ bias
            gram, cross, square = weight.t() @ weight, 2 * (bias @ weight), bias @ bias
            features = features.float()
            components = F.conv2d(features, kernel[..., None, None], shift)
            quadratic = F.conv2d(features, gram[..., None, None], cross)
            squared = (features * quadratic).sum(1, keepdim=True) + square
            # A lower bound keeps the gradient of the root finite for a pixel at the origin.
            return squared.clamp_min(torch.finfo(squared.dtype).eps).sqrt(), components

    def _logits(self, norm: Tensor, components: Tensor, word_norm: Tensor) -> Tensor:
        scale = self.log_scale.exp().clamp_max(_LARGEST_SCALE)
        if self.logits == 'cosine':
            return scale * components / norm
        if self.logits == 'distance':
            return -scale * polar_distance(norm, components, word_norm, c=self.curvature())
        offset = self.offset * word_norm
        return scale * polar_mlr_logits(norm, components, word_norm, offset, c=self.curvature())

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list, train_cfg: Any) -> dict:
        """Return the losses, and for the log: mean radius of text and pixels, curvature and temperature."""
        words = None if self.wording is None else self._tuned(self.text.sample(**self.wording))
        logits, radius = self.forward_with_radius(inputs, words)
        losses = self.loss_by_feat(logits, batch_data_samples) | self._losses_on_text()
        with torch.no_grad():
            losses['radius_text'] = 2 * safe_norm(self.text_embeddings()).mean()
            losses['radius_pixel'] = radius.mean()
            losses['temperature'] = torch.exp(-self.log_scale).clamp_min(1 / _LARGEST_SCALE)
            if self.logits != 'cosine':
                losses['curvature'] = self.curvature().clone()
        return losses

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list) -> dict:
        """Return the losses of the logits, with the accuracy that the loss itself speaks of if it does."""
        losses = super().loss_by_feat(seg_logits, batch_data_samples)
        if isinstance(self.loss_decode, HierarchicalCrossEntropyLoss):
            label = self._stack_batch_gt(batch_data_samples).float()
            label = F.interpolate(label, size=seg_logits.shape[2:], mode='nearest').squeeze(1).long()
            losses['acc_seg'] = self.loss_decode.accuracy(seg_logits, label, self.ignore_index)
        return losses

    def _losses_on_text(self) -> dict[str, Tensor]:
        if not self.text_losses or self.text.lexicon is None:
            return {}
        nodes = self._tuned(self.text.lexicon())
        c = None if self.logits == 'cosine' else self.curvature()
        return {str(loss.loss_name): loss(nodes, c) for loss in self.text_losses}


def _expanded(vocabulary: Vocabulary, taxonomy: Taxonomy | None) -> tuple[Vocabulary, list[int]]:
    """Return the words to compute logits of, and the concept that each belongs to."""
    check_enough(vocabulary)
    return (vocabulary, list(range(len(vocabulary)))) if taxonomy is None else taxonomy.expand(vocabulary)
