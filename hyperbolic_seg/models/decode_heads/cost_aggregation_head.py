"""CostAggregationHead: the costs between places and words, refined class by class."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.geometry import polar_distance, safe_norm, unit
from hyperbolic_seg.geometry.numeric import full_precision
from hyperbolic_seg.layers import Curvature
from hyperbolic_seg.models.cost_aggregation import CostAggregation
from hyperbolic_seg.models.decode_heads.open_vocabulary_head import OpenVocabularyHead

COSTS = ('cosine', 'distance')
ABSENT = -100.0  # logit of a class that is not among the most likely ones


@MODELS.register_module()
class CostAggregationHead(OpenVocabularyHead):
    r"""Classify places by aggregated costs between dense features and words.

    The design is CAT-Seg's (Cho et al., CVPR 2024), on which HyperCLIP is built (Peng et al., CVPR 2025). Dense
    features in the space of the text are compared with the words in every prompt template:

    - ``'cosine'``: the cosine, as published;
    - ``'distance'``: :math:`1 - d / 2`, where :math:`d` is the hyperbolic distance between the unit vector of the place
      and the word, both read as tangent vectors at the origin. For a word of length 1 this too is 1 where they are one
      and -1 where they are opposite; a :class:`RadiusTuner` moves the words nearer to the origin or further away.

    :class:`~hyperbolic_seg.models.cost_aggregation.CostAggregation` describes what becomes of these costs. Logits are
    of four times the size of the dense features; each is of its class by itself (``CrossEntropyLoss`` with
    ``use_sigmoid=True``) or of one among all (without).

    Args:
        vocabulary: What the head is trained to name; this and what is not described here is as for
            :class:`OpenVocabularyHead`.
        text_encoder: Config of the text encoder; the costs are of every one of its templates.
        text_dims: D, the size of its embeddings.
        in_channels: Channels of the two feature maps that guide the upsampling, the one for the coarser step first, and
            of the dense features. Those are projected to ``text_dims`` if they have others, as a U-Net's, which are no
            CLIP's.
        cost: ``'cosine'`` or ``'distance'``.
        curvature: Options of :class:`Curvature`, for the distance.
        top_k: In evaluation only so many classes of a picture are aggregated, those of the highest cost anywhere in it;
            the others get the logit -100. ``None`` for all. A training aggregates all.
        aggregation: Further options of :class:`~hyperbolic_seg.models.cost_aggregation.CostAggregation`; its
            ``padding`` is ``top_k`` unless it is given.
        **kwargs: As for :class:`OpenVocabularyHead`.

    Raises:
        ValueError: ``cost`` or the number of maps does not fit, or what :class:`OpenVocabularyHead` refuses.
    """

    def __init__(
        self,
        vocabulary: str | Sequence[str],
        text_encoder: dict,
        text_dims: int,
        in_channels: Sequence[int],
        *,
        cost: str = 'cosine',
        curvature: dict | None = None,
        top_k: int | None = 256,
        aggregation: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if cost not in COSTS:
            raise ValueError(f'cost={cost!r}: expected one of {COSTS}')
        if len(in_channels) != 3:
            raise ValueError(
                f'in_channels={tuple(in_channels)}: expected those of two feature maps and of the dense features'
            )
        kwargs.setdefault('in_index', (0, 1, 2))
        kwargs |= dict(by_template=True, channels=text_dims, input_transform='multiple_select')
        super().__init__(vocabulary, text_encoder, text_dims, in_channels=in_channels, **kwargs)
        self.cost, self.top_k = cost, top_k
        own = in_channels[-1] == text_dims
        self.projection = None if own else nn.Conv2d(in_channels[-1], text_dims, 1, bias=False)
        if cost == 'distance':
            self.curvature = Curvature(**(curvature or {}))
        self.aggregation = CostAggregation(
            templates=len(self.text.encoder.templates),
            dense_dims=text_dims,
            text_dims=text_dims,
            fine_dims=in_channels[:2],
            **(dict(padding=top_k or 0) | (aggregation or {})),
        )

    @property
    def curvature_of_words(self) -> Tensor | None:
        """The curvature, ``None`` for the Euclidean control."""
        return None if self.cost == 'cosine' else self.curvature()

    def _tuned(self, embeddings: Tensor) -> Tensor:
        return super()._tuned(embeddings.flatten(0, 1)).unflatten(0, embeddings.shape[:2])

    def forward_with_radius(self, inputs: Sequence[Tensor], words: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits (N, K, 4 h, 4 w) and the hyperbolic radius of every dense feature, (N, 1, h, w).

        Args:
            inputs: The feature maps of the encoder.
            words: Tuned embeddings in every template, (K, P, D), in the place of :meth:`text_embeddings`.
        """
        *fine, dense = self._transform_inputs(inputs)
        dense = dense if self.projection is None else self.projection(dense)
        words = self.text_embeddings() if words is None else words
        cost = self.cost_volume(dense, words)
        text = unit(words).mean(1).expand(len(dense), -1, -1)
        chosen = self._most_likely(cost)
        if chosen is None:
            logits = self.aggregation(cost, dense, text, fine)
        else:
            parts = [part[torch.arange(len(dense), device=dense.device)[:, None], chosen] for part in (cost, text)]
            found = self.aggregation(parts[0], dense, parts[1], fine)
            logits = found.new_full((len(dense), cost.shape[1], *found.shape[2:]), ABSENT)
            logits.scatter_(1, chosen[..., None, None].expand_as(found), found)
        return self._gathered(logits), 2 * safe_norm(dense, 1, keepdim=True)

    def cost_volume(self, dense: Tensor, words: Tensor) -> Tensor:
        """Return the costs of every word at every place, (N, K, P, h, w).

        Args:
            dense: (N, D, h, w).
            words: Of K classes in P templates, (K, P, D).
        """
        with full_precision(dense.device):
            places, lengths = unit(dense, 1), safe_norm(words)
            cosine = torch.einsum('ndhw,kpd->nkphw', places, unit(words))
            if self.cost == 'cosine':
                return cosine
            lengths = lengths[..., None, None]
            # The place has length 1, and so its component along the word is the cosine.
            return 1 - polar_distance(torch.ones_like(cosine), cosine, lengths, c=self.curvature()) / 2

    def _most_likely(self, cost: Tensor) -> Tensor | None:
        """Return the classes of every picture to aggregate, (N, top_k), ``None`` for all."""
        if self.training or self.top_k is None or cost.shape[1] <= self.top_k:
            return None
        return cost.amax((2, 3, 4)).topk(self.top_k, dim=1).indices
