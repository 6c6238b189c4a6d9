"""Scores of attributes, such as how thick a cloud is, and what they add to the logits of words."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.geometry.numeric import compiling
from hyperbolic_seg.text import Expansion, Taxonomy


class AttributeScores(nn.Module):
    """A linear layer for the values of every attribute of a taxonomy, beside a head that classifies by words.

    The attributes are independent of the class and of each other, given the features of a pixel: the probability of
    "thin cirrus" is that of cirrus times that of thin.

    Args:
        taxonomy: The taxonomy.
        channels: Channels of the features.
        loss: Config of the loss, by default :class:`AttributeLoss`.

    Raises:
        ValueError: The taxonomy has no attributes.
    """

    told: Tensor

    def __init__(self, taxonomy: Taxonomy | None, channels: int, loss: dict[str, Any]) -> None:
        super().__init__()
        if taxonomy is None or not taxonomy.nodes.attributes:
            raise ValueError(
                'attribute_loss needs a taxonomy with attributes, such as "sky": set taxonomy of the head, or leave it '
                'out'
            )
        self.attributes = taxonomy.nodes.attributes
        self.values = [value for values in self.attributes.values() for value in values]
        self.scores = nn.Conv2d(channels, len(self.values), 1)
        self.loss = MODELS.build(dict(type='AttributeLoss', attributes=self.attributes) | loss)
        #: Whether a label has ever told an attribute
        self.register_buffer('told', torch.zeros((), dtype=torch.bool))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with equal scores, as before any training."""
        nn.init.normal_(self.scores.weight, std=0.01)
        assert self.scores.bias is not None
        nn.init.zeros_(self.scores.bias)
        self.told.zero_()

    def forward(self, features: Tensor) -> Tensor:
        """Return the logarithm of the probability of every value within its attribute, (N, V, H, W)."""
        sizes = [len(values) for values in self.attributes.values()]
        # Copies: whether a part is contiguous depends on the batch size, which torch.export leaves free.
        parts = [part.clone(memory_format=torch.contiguous_format) for part in self.scores(features).split(sizes, 1)]
        return torch.cat([part.float().log_softmax(1) for part in parts], 1)

    def losses(self, features: Tensor, batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """Return the loss of a batch; images without attributes do not count.

        Args:
            features: Features of the pixels, (N, C, H, W).
            batch_data_samples: Labels of the images; ``gt_attributes`` where there are some.
        """
        size = batch_data_samples[0].gt_sem_seg.data.shape[-2:]
        labels = [
            sample.gt_attributes.data if 'gt_attributes' in sample else torch.zeros_like(sample.gt_sem_seg.data)
            for sample in batch_data_samples
        ]
        label = torch.cat(labels).to(features.device)
        self.told |= (label > 0).any()
        scores = F.interpolate(self.scores(features).float(), size, mode='bilinear')
        return {self.loss.loss_name: self.loss(scores, label)}

    def of_words(self, features: Tensor, expansion: Expansion, rows: slice) -> Tensor | None:
        """Return what to add to the logits of words, (N, W, H, W); ``None`` if they ask for no attributes.

        Args:
            features: Features of the pixels, (N, C, H, W).
            expansion: The words.
            rows: Which of them.
        """
        values, shares = expansion.values[rows], expansion.shares[rows]
        if not any(values) and all(share == 1 for share in shares):
            return None
        if any(values) and not compiling() and not bool(self.told):
            raise ValueError(
                f'the prompts name {sorted(set().union(*values))}, which no training of this model has told: train '
                'with labels of attributes (LoadAttributes), or leave these words out'
            )
        log_p = self(features)
        asked = list(dict.fromkeys(values))
        sums = torch.cat([self._of(log_p, some) for some in asked], 1)
        order = torch.tensor([asked.index(some) for some in values], device=log_p.device)
        added: Tensor = sums[:, order] + log_p.new_tensor(shares).log().view(1, -1, 1, 1)
        return added

    def _of(self, log_p: Tensor, values: Sequence[str]) -> Tensor:
        """Return the logarithm of the probability that each attribute has one of some values, (N, 1, H, W)."""
        total = torch.zeros_like(log_p[:, :1])
        for attribute in self.attributes.values():
            rows = [self.values.index(value) for value in attribute if value in values]
            if rows:
                total = total + log_p[:, rows].logsumexp(1, keepdim=True)
        return total
