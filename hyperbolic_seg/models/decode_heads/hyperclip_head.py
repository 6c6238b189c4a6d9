"""HyperCLIPHead: pixels classified by tuned text embeddings in hyperbolic space."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.geometry import at_least_float32, full_precision, polar_distance, polar_mlr_logits, safe_norm, unit
from hyperbolic_seg.geometry.numeric import compiling, traced
from hyperbolic_seg.geometry.pairwise import chooses_pairs, length_and_distances, nearly_parallel
from hyperbolic_seg.layers import Curvature
from hyperbolic_seg.layers.distributed import mean_over_processes
from hyperbolic_seg.layers.measured_scale import MeasuredScale
from hyperbolic_seg.layers.scalars import ScalarParameters
from hyperbolic_seg.models.decode_heads.attribute_scores import AttributeScores
from hyperbolic_seg.models.decode_heads.open_vocabulary_head import DenseLogits, OpenVocabularyHead
from hyperbolic_seg.models.decode_heads.pixel_distances import PixelDistances
from hyperbolic_seg.options import check_number, check_options, check_whole
from hyperbolic_seg.text import TextBank

LOGITS = ('distance', 'mlr', 'cosine')
_LARGEST_SCALE = 100.0
_TOLERANCE = 3.0  # factor between the lengths of pixels and words at the start of a training


@MODELS.register_module()
class HyperCLIPHead(OpenVocabularyHead, FCNHead, MeasuredScale, ScalarParameters):
    r"""Classify pixels against text embeddings in hyperbolic space.

    The features of a dense encoder are projected to D dimensions, those of the text. Like the embeddings of the words
    they are read as tangent vectors at the origin (LSeg's design in HyperCLIP's geometry: Peng et al., CVPR 2025). The
    logits are

    - ``'distance'``: minus the hyperbolic distance between pixel and word; under a loss that gives every class a
      probability of its own (``use_sigmoid=True``), a learned distance minus it, since no probability passes 0.5
      otherwise;
    - ``'mlr'``: the signed distance to a hyperplane whose normal is the word (hyperbolic multinomial logistic
      regression; its offset from the origin is a learned share of the word's length);
    - ``'cosine'``: the cosine, the Euclidean control with the same parameters but the curvature;

    divided by a learned temperature. The hyperbolic radius of a pixel, ``2 |v|``, is an output beside them.

    The first batch of a training from scratch is measured: if the embeddings of its pixels are more than three times
    as long or short as a word, features are divided by their length from then on (``feature_scale``), so that training
    starts well behind any encoder.

    The embedding of a pixel never exists in memory: with :math:`v = P f + b`, the inner products are
    :math:`\langle f, P^\top t\rangle + \langle b, t\rangle` and the length is a quadratic form in ``f``, so
    memory grows by K for each pixel and not by D.

    Args:
        vocabulary: What the head is trained to name; this and what is not described here is as for
            :class:`OpenVocabularyHead`.
        text_encoder: Config of the text encoder.
        text_dims: D, the size of its embeddings.
        embed_dims: Project words and pixels to a space of fewer dimensions; ``None`` keeps those of the text.
        phrase_augmentation: Options of :meth:`TextBank.sample`. Every step of the training then draws a random mixture
            of the phrases of each concept, so that the head also understands prompts in other words; ``None`` trains
            with the mean over all phrases.
        attribute_loss: Options of :class:`AttributeLoss`. The head then tells the attributes of the taxonomy too, such
            as thin from thick clouds, by labels that :class:`LoadAttributes` loads, and prompts may name them; ``None``
            takes "thin cirrus" as it is typed.
        projection: Project the features to the dimensions of the text. ``False`` takes them as they are, for features
            that lie in the space of the text already (:class:`OpenCLIPVisionBackbone`) and need no training.
        logits: ``'distance'``, ``'mlr'`` or ``'cosine'``.
        curvature: Options of :class:`Curvature`: ``value``, ``learned``, ``bounds``.
        temperature: Divisor of the logits at the start of the training. It stays at or above 0.01.
        in_channels: Channels of the features of the encoder.
        channels: Channels before the projection.
        num_convs: 3x3 convolutions before the projection; with 0 ``channels`` is ``in_channels``.
        **kwargs: As for :class:`OpenVocabularyHead` and :class:`mmseg.models.FCNHead`.

    Raises:
        ValueError: ``logits`` or the channels do not fit, or what :class:`OpenVocabularyHead` refuses.
    """

    _text_modules = OpenVocabularyHead._text_modules | {'reduction'}
    channels: int
    dropout: nn.Module | None
    _forward_feature: Callable[[Sequence[Tensor]], Tensor]

    def __init__(
        self,
        vocabulary: str | Sequence[str],
        text_encoder: dict[str, Any],
        text_dims: int,
        *,
        embed_dims: int | None = None,
        phrase_augmentation: dict[str, Any] | None = None,
        attribute_loss: dict[str, Any] | None = None,
        projection: bool = True,
        logits: str = 'distance',
        curvature: dict[str, Any] | None = None,
        temperature: float = 0.2,
        **kwargs: Any,
    ) -> None:
        if logits not in LOGITS:
            raise ValueError(f'logits={logits!r}: expected one of {LOGITS}')
        check_number('temperature', temperature, least=1 / _LARGEST_SCALE)
        check_options('phrase_augmentation', phrase_augmentation, TextBank.sample)
        if embed_dims is not None:
            check_whole('embed_dims', embed_dims)
        super().__init__(vocabulary, text_encoder, text_dims, attributes=attribute_loss is not None, **kwargs)
        self.logits, self.phrase_augmentation = logits, phrase_augmentation
        self.reduction = nn.Linear(text_dims, embed_dims, bias=False) if embed_dims else None
        dims = embed_dims or text_dims
        if not projection and self.channels != dims:
            raise ValueError(
                f'projection=False takes features of {self.channels} channels for embeddings of {dims} dimensions: '
                'expected as many'
            )
        self.projection = nn.Linear(self.channels, dims) if projection else None
        if attribute_loss is not None and (self.multilabel or self.queries == 'phrase'):
            raise ValueError(
                'attribute_loss needs shares of one probability and one query for a concept: leave out use_sigmoid=True'
                " and queries='phrase', or attribute_loss"
            )
        self.attribute_scores = (
            None if attribute_loss is None else AttributeScores(self.taxonomy, self.channels, attribute_loss)
        )
        self.start_temperature = temperature
        self.log_scale = nn.Parameter(torch.empty(1))
        if logits != 'cosine':
            self.curvature = Curvature(**(curvature or {}))
        if logits == 'mlr':
            self.offset = nn.Parameter(torch.empty(1))
        if logits == 'distance' and self.multilabel:
            #: The distance at which a class has the probability 0.5
            self.reach = nn.Parameter(torch.empty(1))
        self.register_scale(projection)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return the parameters that belong to no layer to their start; :meth:`init_weights` initializes the layers."""
        self.reset_scale()
        nn.init.constant_(self.log_scale, -math.log(self.start_temperature))
        if self.logits == 'mlr':
            nn.init.zeros_(self.offset)
        if hasattr(self, 'reach'):  # the distance of vectors of length 1 at a right angle
            one, zero = torch.tensor([1.0, 0.0], device='cpu')
            nn.init.constant_(self.reach, polar_distance(one, zero, one, c=self.curvature.start).item())

    def init_weights(self) -> None:
        """Initialize, and encode the vocabulary, so that a missing encoder is noticed before the training."""
        super().init_weights()
        self.reset_parameters()
        # Features with components around 1 then give embeddings of a length around 1, like those of the words.
        if self.projection is not None:
            nn.init.normal_(self.projection.weight, std=(self.channels * self.projection.out_features) ** -0.5)
            nn.init.zeros_(self.projection.bias)
        if self.reduction is not None:  # Keeps the length of the words, on average.
            nn.init.orthogonal_(self.reduction.weight, (self.text.embed_dims / self.reduction.out_features) ** 0.5)

    def _tuned(self, embeddings: Tensor) -> Tensor:
        embeddings = super()._tuned(embeddings)
        if self.reduction is None:
            return embeddings
        with full_precision(embeddings.device):
            reduced: Tensor = self.reduction(embeddings.to(self.reduction.weight))
            return reduced

    @property
    def curvature_of_words(self) -> Tensor | None:
        """The curvature; ``None`` for the Euclidean control."""
        return None if self.logits == 'cosine' else self.curvature()

    def forward_with_radius(self, inputs: Sequence[Tensor], words: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits of words (N, W, H, W) and the hyperbolic radius of every pixel, (N, 1, H, W).

        Args:
            inputs: The feature maps of the encoder.
            words: Tuned embeddings to classify by, (W, D), instead of :meth:`text_embeddings`.
        """
        return self._with_radius(self._embedded(inputs), words)

    def _with_radius(self, features: Tensor, words: Tensor | None) -> tuple[Tensor, Tensor]:
        self.measure_once(partial(self._factor, features))
        logits, norm = self._of_words(features, self.text_embeddings() if words is None else words)
        return self._with_attributes(logits, features, slice(None)), 2 * norm

    def forward_in_bands(self, inputs: Sequence[Tensor]) -> DenseLogits:
        """Return logits of words to be computed for some rows and some concepts at a time; none are kept.

        Args:
            inputs: The feature maps of the encoder.
        """
        features, words = self._embedded(inputs), self.text_embeddings()
        distances = self._pixel_distances(features, words)

        def of_rows(rows: slice) -> Callable[[int, int], Tensor]:
            some = features[:, :, rows]
            factors = None if distances is None else distances.of_maps(some)

            def of_concepts(start: int, stop: int) -> Tensor:
                span = self._words_of(start, stop)
                if distances is None or factors is None:
                    logits, _ = self._by_geometry(some, words[span])
                else:
                    found = distances.scaled(factors, span)
                    logits = self._from_scaled(found).unflatten(2, some.shape[2:])
                return self._with_attributes(logits, some, span)

            return of_concepts

        radius = 2 * self._norm_and_components(features, unit(words[:1]))[0]
        return DenseLogits(of_rows, (features.shape[2], features.shape[3]), radius)

    def attribute_log_probabilities(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the logarithm of the probability of every value within its attribute, (N, V, H, W).

        Args:
            inputs: The feature maps of the encoder.

        Raises:
            ValueError: The head tells no attributes.
        """
        if self.attribute_scores is None:
            raise ValueError('this head tells no attributes: set attribute_loss')
        found: Tensor = self.attribute_scores(self._embedded(inputs))
        return found

    def _with_attributes(self, logits: Tensor, features: Tensor, rows: slice) -> Tensor:
        """Add the logarithm of the probability of the attributes that words ask for."""
        found = (
            None if self.attribute_scores is None else self.attribute_scores.of_words(features, self._expansion, rows)
        )
        return logits if found is None else logits + found

    def _factor(self, features: Tensor) -> Tensor:
        """Return the factor for the features of the first batch, 0 for an empty batch or one that overflowed."""
        assert self.projection is not None
        with full_precision(features.device):
            features = at_least_float32(features).movedim(1, -1)
            embeddings = F.linear(features, at_least_float32(self.projection.weight))
            length = mean_over_processes(embeddings.square().sum(-1)).sqrt()
        usable = (length > 0) & length.isfinite()
        far = (length < 1 / _TOLERANCE) | (length > _TOLERANCE)
        if not compiling() and bool(usable & far):
            print_log(f'the first embeddings have a mean length of {length:.3g}: features are divided by it', 'current')
        return torch.where(usable, torch.where(far, 1 / length, 1), 0)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # Older checkpoints have no factor; their projection was divided instead.
        if self.feature_scale is not None and f'{prefix}projection.weight' in state_dict:
            state_dict.setdefault(f'{prefix}feature_scale', torch.ones(()))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _embedded(self, inputs: Sequence[Tensor]) -> Tensor:
        features: Tensor = self._forward_feature(inputs)
        return features if self.dropout is None else self.dropout(features)

    def _of_words(self, features: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits of words (N, W, H, W) and the lengths of the embeddings of the pixels."""
        distances = self._pixel_distances(features, words)
        found = None if distances is None else distances.of_all(features)
        if found is None:
            return self._by_geometry(features, words)
        return self._from_scaled(found[1]), found[0]

    def _by_geometry(self, features: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return what :meth:`_of_words` does, with gradients, on any device, at any radius."""
        scale = self._logit_scale()
        if self.logits == 'distance':
            norm, distance = self._norm_and_distance(features, words)
            return scale * (self.reach - distance) if self.multilabel else -scale * distance, norm
        norm, components = self._norm_and_components(features, unit(words))
        if self.logits == 'cosine':
            return scale * components / norm, norm
        word_norm = safe_norm(words).view(1, -1, 1, 1)
        logits = polar_mlr_logits(norm, components, word_norm, self.offset * word_norm, c=self.curvature())
        return scale * logits, norm

    def _logit_scale(self) -> Tensor:
        # Straight-through clamp: the value stops at the bound, the gradient does not.
        beyond = (self.log_scale - math.log(_LARGEST_SCALE)).clamp_min(0).detach()
        return (self.log_scale - beyond).exp()

    def _pixel_distances(self, features: Tensor, words: Tensor) -> PixelDistances | None:
        """Return what computes distances on a CPU; ``None`` where gradients or compilers need the long way."""
        wanted = self.logits == 'distance' and not torch.is_grad_enabled() and not traced(features)
        if not wanted or self.projection is None or features.dtype == torch.float64:
            return None
        weight, scale = self.projection.weight.double(), self.scale()
        weight = weight if scale is None else weight * scale
        return PixelDistances(weight, self.projection.bias.double(), words, self.curvature())

    def _from_scaled(self, distances: Tensor) -> Tensor:
        """Turn distances, times the root of c, into logits, in place."""
        scale = self._logit_scale()
        distances.mul_(-scale / self.curvature().sqrt())
        return distances.add_(scale * self.reach) if self.multilabel else distances

    def _norm_and_distance(self, features: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Return the length of every pixel's embedding, (N, 1, H, W), and its distances to words, (N, W, H, W)."""
        c = self.curvature()
        if self.projection is None:
            return length_and_distances(features, words, c, 1)
        norm, components = self._norm_and_components(features, unit(words))
        distance = polar_distance(norm, components, safe_norm(words).view(1, -1, 1, 1), c=c)
        if not chooses_pairs(distance):
            return norm, distance
        # A product in float32 is too coarse for the distance of nearly parallel vectors.
        near = nearly_parallel(norm, components).nonzero(as_tuple=True)
        if not len(near[0]):
            return norm, distance
        sample, word, row, column = near
        columns = features.movedim(1, -1)[sample, row, column].double().t()[None, :, :, None]
        length, along_words = (x[0, ..., 0] for x in self._norm_and_components(columns, unit(words.double())))
        component = along_words.gather(0, word[None])
        exact = polar_distance(length, component, safe_norm(words.double())[word], c=c.double())[0]
        return norm, distance.index_put(near, exact.to(distance))

    def _norm_and_components(self, features: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the length of every pixel's embedding, (N, 1, H, W), and its components along words, (N, W, H, W)."""
        features = at_least_float32(features)
        if self.projection is None:
            with full_precision(features.device):
                components = F.conv2d(features, directions[..., None, None])
            return safe_norm(features, 1, keepdim=True), components
        weight, bias = self.projection.weight.to(features), self.projection.bias.to(features)
        if (scale := self.scale()) is not None:
            weight = weight * scale
        with full_precision(features.device):
            kernel, shift = directions @ weight, directions @ bias
            gram, cross, square = weight.t() @ weight, 2 * (bias @ weight), bias @ bias
            components = F.conv2d(features, kernel[..., None, None], shift)
            quadratic = F.conv2d(features, gram[..., None, None], cross)
            squared = (features * quadratic).sum(1, keepdim=True) + square
            # The lower bound keeps the gradient of the root finite for a pixel at the origin.
            return squared.clamp_min(torch.finfo(squared.dtype).eps).sqrt(), components

    def sample_text_embeddings(self) -> Tensor | None:
        """Return tuned embeddings of random mixtures of phrases, if the head trains with them."""
        return None if self.phrase_augmentation is None else self._tuned(self.text.sample(**self.phrase_augmentation))

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list[Any], train_cfg: Any) -> dict[str, Any]:
        """Return the losses, and for the log also the temperature."""
        features, words = self._embedded(inputs), self.sample_text_embeddings()
        losses = self.losses_of(*self._with_radius(features, words), words, batch_data_samples)
        if self.attribute_scores is not None:
            losses |= self.attribute_scores.losses(features, batch_data_samples)
        losses['temperature'] = torch.exp(-self.log_scale.detach()).clamp_min(1 / _LARGEST_SCALE)
        return losses
