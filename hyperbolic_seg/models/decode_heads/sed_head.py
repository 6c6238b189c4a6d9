"""SEDHead: costs between pixels and words, refined along the stages of a hierarchical encoder."""

from collections.abc import Sequence
from typing import Any, ClassVar

from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.geometry import safe_norm
from hyperbolic_seg.models.cost_aggregation import GradualFusion
from hyperbolic_seg.models.decode_heads.cost_aggregation_head import CostAggregationHead


@MODELS.register_module()
class SEDHead(CostAggregationHead):
    """Classify pixels as SED does, on a hierarchical encoder such as a ConvNeXt of CLIP (Xie et al., CVPR 2024).

    :class:`~hyperbolic_seg.models.cost_aggregation.GradualFusion` refines the costs. The logits have eight times the
    size of the dense features. In training, the logits that it guesses before each step have the same losses, with
    names that end in ``_early0`` and so on.

    Args:
        vocabulary: What the head is trained to name; this and what is not described here is as for
            :class:`CostAggregationHead`.
        text_encoder: Config of the text encoder; there is one cost for each of its templates.
        text_dims: D, the size of its embeddings.
        in_channels: Channels of four feature maps: three stages of the encoder, the coarsest first, of twice, four and
            eight times the size of the dense features, which come last.
        rejection: In evaluation, classes that are at no pixel among this many most likely ones are given up before a
            step and get the logit -100; ``None`` rejects none. There is no ``top_k``.
        aggregation: Further options of :class:`~hyperbolic_seg.models.cost_aggregation.GradualFusion`.
        **kwargs: As for :class:`CostAggregationHead`.

    Raises:
        ValueError: As for :class:`CostAggregationHead` and its ``aggregation``.
        TypeError: ``aggregation`` has ``rejection``, which belongs to the head.
    """

    fine_maps: ClassVar[int] = 3

    def __init__(
        self,
        vocabulary: str | Sequence[str],
        text_encoder: dict[str, Any],
        text_dims: int,
        in_channels: Sequence[int],
        *,
        rejection: int | None = None,
        aggregation: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if 'rejection' in (aggregation or {}):
            raise TypeError('aggregation has rejection, which is an option of the head: set rejection of SEDHead')
        options = (aggregation or {}) | dict(rejection=rejection)
        super().__init__(vocabulary, text_encoder, text_dims, in_channels, top_k=None, aggregation=options, **kwargs)

    def _build_aggregation(self, fine_dims: Sequence[int], options: dict[str, Any]) -> nn.Module:
        return GradualFusion(templates=len(self.text.encoder.templates), fine_dims=fine_dims, **options)

    def forward_with_radius(self, inputs: Sequence[Tensor], words: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits of words (N, W, 8 h, 8 w) and the hyperbolic radius of every dense feature, (N, 1, h, w).

        Args:
            inputs: The feature maps of the encoder.
            words: Tuned embeddings in every template, (W, P, D), instead of :meth:`text_embeddings`.
        """
        logits, _, radius = self._decoded(inputs, words)
        return logits, radius

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list[Any], train_cfg: Any) -> dict[str, Any]:
        """Return the losses of all steps, and what :class:`CostAggregationHead` logs."""
        words = self.sample_text_embeddings()
        logits, early, radius = self._decoded(inputs, words)
        losses = self.losses_of(logits, radius, words, batch_data_samples)
        for number, guess in enumerate(early):
            found = self.loss_by_feat(self.gather(guess), batch_data_samples)
            losses |= {f'{name}_early{number}': value for name, value in found.items()}
        return losses

    def _decoded(self, inputs: Sequence[Tensor], words: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
        """Return logits, early logits in training, and the radius."""
        *fine, dense = self._transform_inputs(inputs)
        dense = dense if self.projection is None else self.projection(dense)
        words = self.text_embeddings() if words is None else words
        logits, early = self.aggregation(self.cost_volume(dense, words), fine)
        return logits, early, 2 * safe_norm(dense, 1, keepdim=True)
