"""CostAggregationHead: costs between pixels and words, refined class by class."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.geometry import polar_distance, safe_norm, unit
from hyperbolic_seg.geometry.numeric import full_precision
from hyperbolic_seg.layers import Curvature
from hyperbolic_seg.models.cost_aggregation import CostAggregation
from hyperbolic_seg.models.cost_aggregation.aggregation import ABSENT
from hyperbolic_seg.models.decode_heads.open_vocabulary_head import OpenVocabularyHead

COSTS = ('cosine', 'distance')


@MODELS.register_module()
class CostAggregationHead(OpenVocabularyHead):
    r"""Classify pixels by aggregated costs between dense features and words.

    The design is that of CAT-Seg (Cho et al., CVPR 2024), on which HyperCLIP is built (Peng et al., CVPR 2025). Dense
    features in the space of the text are compared with the words in every prompt template:

    - ``'cosine'``: the cosine, as published;
    - ``'distance'``: :math:`1 - d / 2`, where :math:`d` is the hyperbolic distance between the unit vector of the pixel
      and the word, both read as tangent vectors at the origin. For a word of length 1 this too is 1 for equal vectors
      and -1 for opposite ones; a :class:`RadiusTuner` moves words nearer to the origin or further away.

    :class:`~hyperbolic_seg.models.cost_aggregation.CostAggregation` refines these costs. The logits have four times the
    size of the dense features. They are multilabel (``CrossEntropyLoss`` with ``use_sigmoid=True``) or of one class
    among all.

    Args:
        vocabulary: What the head is trained to name; this and what is not described here is as for
            :class:`OpenVocabularyHead`.
        text_encoder: Config of the text encoder; there is one cost for each of its templates.
        text_dims: D, the size of its embeddings.
        in_channels: Channels of three feature maps: two that guide the upsampling, the one for the coarser step first,
            and the dense features. Dense features with another number of channels than ``text_dims``, such as those of
            a U-Net, are projected to it.
        cost: ``'cosine'`` or ``'distance'``.
        curvature: Options of :class:`Curvature`, for the distance.
        top_k: In evaluation only this many classes of an image are aggregated, those of the highest cost anywhere in
            it; all others get the logit -100. ``None`` for all. Training aggregates all.
        aggregation: Further options of :class:`~hyperbolic_seg.models.cost_aggregation.CostAggregation`; its
            ``padding`` is ``top_k`` unless it is given.
        **kwargs: As for :class:`OpenVocabularyHead`.

    Raises:
        ValueError: ``cost`` or the number of maps does not fit, or an option that :class:`OpenVocabularyHead` refuses.
    """

    fine_maps: ClassVar[int] = 2
    """Number of feature maps beside the dense features."""

    def __init__(
        self,
        vocabulary: str | Sequence[str],
        text_encoder: dict[str, Any],
        text_dims: int,
        in_channels: Sequence[int],
        *,
        cost: str = 'cosine',
        curvature: dict[str, Any] | None = None,
        top_k: int | None = 256,
        aggregation: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if cost not in COSTS:
            raise ValueError(f'cost={cost!r}: expected one of {COSTS}')
        if len(in_channels) != self.fine_maps + 1:
            count = {2: 'two', 3: 'three'}[self.fine_maps]
            raise ValueError(
                f'in_channels={tuple(in_channels)}: expected those of {count} feature maps and of the dense features'
            )
        kwargs.setdefault('in_index', tuple(range(self.fine_maps + 1)))
        kwargs |= dict(by_template=True, channels=text_dims, input_transform='multiple_select')
        super().__init__(vocabulary, text_encoder, text_dims, in_channels=in_channels, **kwargs)
        self.cost, self.top_k = cost, top_k
        in_text_space = in_channels[-1] == text_dims
        self.projection = None if in_text_space else nn.Conv2d(in_channels[-1], text_dims, 1, bias=False)
        if cost == 'distance':
            self.curvature = Curvature(**(curvature or {}))
        self.aggregation = self._build_aggregation(in_channels[:-1], aggregation or {})

    def _build_aggregation(self, fine_dims: Sequence[int], options: dict[str, Any]) -> nn.Module:
        return CostAggregation(
            templates=len(self.text.encoder.templates),
            dense_dims=self.channels,
            text_dims=self.channels,
            fine_dims=fine_dims,
            **(dict(padding=self.top_k or 0) | options),
        )

    @property
    def curvature_of_words(self) -> Tensor | None:
        """The curvature; ``None`` for the Euclidean control."""
        return None if self.cost == 'cosine' else self.curvature()

    def _tuned(self, embeddings: Tensor) -> Tensor:
        tuned: Tensor = super()._tuned(embeddings.flatten(0, 1)).unflatten(0, embeddings.shape[:2])
        return tuned

    def forward_with_radius(self, inputs: Sequence[Tensor], words: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits of words (N, W, 4 h, 4 w) and the hyperbolic radius of every dense feature, (N, 1, h, w).

        Args:
            inputs: The feature maps of the encoder.
            words: Tuned embeddings in every template, (W, P, D), instead of :meth:`text_embeddings`.
        """
        *fine, dense = self._transform_inputs(inputs)
        dense = dense if self.projection is None else self.projection(dense)
        words = self.text_embeddings() if words is None else words
        batch = dense.shape[0]  # len() would make a constant of it in an export
        cost = self.cost_volume(dense, words)
        text = unit(words).mean(1).expand(batch, -1, -1)
        chosen = self._most_likely(cost)
        if chosen is None:
            logits = self.aggregation(cost, dense, text, fine)
        else:
            rows = torch.arange(batch, device=dense.device)[:, None]
            found = self.aggregation(cost[rows, chosen], dense, text[rows, chosen], fine)
            logits = found.new_full((batch, cost.shape[1], *found.shape[2:]), ABSENT)
            logits = logits.scatter(1, chosen[..., None, None].expand_as(found), found)
        return logits, 2 * safe_norm(dense, 1, keepdim=True)

    def cost_volume(self, dense: Tensor, words: Tensor) -> Tensor:
        """Return the cost of every word and template at every pixel, (N, W, P, h, w).

        Args:
            dense: Dense features, (N, D, h, w).
            words: Embeddings of W words in P templates, (W, P, D).
        """
        with full_precision(dense.device):
            pixels, lengths = unit(dense, 1), safe_norm(words)
            cosine = torch.einsum('ndhw,kpd->nkphw', pixels, unit(words))
            if self.cost == 'cosine':
                return cosine
            lengths = lengths[..., None, None]
            # The vector of the pixel has length 1, so its component along the word is the cosine.
            return 1 - polar_distance(torch.ones_like(cosine), cosine, lengths, c=self.curvature()) / 2

    def _most_likely(self, cost: Tensor) -> Tensor | None:
        """Return the words to aggregate for every image, (N, top_k); ``None`` for all."""
        if self.training or self.top_k is None or cost.shape[1] <= self.top_k:
            return None
        return cost.amax((2, 3, 4)).topk(self.top_k, dim=1).indices
