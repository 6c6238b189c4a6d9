"""Cross entropy of the attributes of pixels, such as thickness, whose labels are sets of possible values."""

from collections.abc import Mapping

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.options import check_number


@MODELS.register_module()
class AttributeLoss(nn.Module):
    r"""Minus the logarithm of the summed probability of all values that are possible at a pixel.

    A label holds a bit for each value, in the order of the taxonomy. No bit of an attribute, or all of them, say
    nothing of it: then a pixel does not count for that attribute. Each attribute is a classification of its own, and
    the loss is the sum over attributes of the mean over the pixels that count.

    Args:
        attributes: Values of every attribute by its name.
        value_weight: Weights of pixels by value; of several possible values the largest counts, and 1 for others.
        loss_weight: Factor of the loss.
        loss_name: Its name in the log.

    Raises:
        ValueError: A weighted value is none of an attribute, or a weight is negative.
    """

    weights: Tensor

    def __init__(
        self,
        attributes: Mapping[str, tuple[str, ...]],
        *,
        value_weight: Mapping[str, float] | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_attributes',
    ) -> None:
        super().__init__()
        for name, factor in (dict(loss_weight=loss_weight) | dict(value_weight or {})).items():
            check_number(name, factor, least=0, most=1e30)
        values = [value for some in attributes.values() for value in some]
        if unknown := set(value_weight or {}) - set(values):
            raise ValueError(f'value_weight names {sorted(unknown)}: expected values of {dict(attributes)}')
        self.value_weight = dict(value_weight or {})
        self.register_buffer('weights', self._weights(values), persistent=False)
        self.attributes, self.loss_weight, self.loss_name = dict(attributes), loss_weight, loss_name
        self.sizes = [len(values) for values in self.attributes.values()]

    def reset_parameters(self) -> None:
        """Fill the weights, as after ``to_empty``."""
        self.weights.copy_(self._weights([value for some in self.attributes.values() for value in some]))

    def _weights(self, values: list[str]) -> Tensor:
        return torch.tensor([float(self.value_weight.get(value, 1)) for value in values])

    def forward(self, scores: Tensor, label: Tensor) -> Tensor:
        """Return the loss.

        Args:
            scores: Scores of all values, (N, V, H, W).
            label: Bits of the possible values, (N, H, W), integers.

        Raises:
            ValueError: The sizes differ, or a label has other bits.
        """
        if scores.shape[1] != sum(self.sizes) or scores.shape[2:] != label.shape[1:]:
            raise ValueError(
                f'scores {tuple(scores.shape)} for labels {tuple(label.shape)} of {sum(self.sizes)} values: expected '
                '(N, V, H, W) and (N, H, W)'
            )
        if label.numel() and not 0 <= int(label.min()) <= int(label.max()) < 2 ** sum(self.sizes):
            raise ValueError(
                f'labels of attributes from {int(label.min())} to {int(label.max())}: expected a bit for each of '
                f'{sum(self.sizes)} values, {self.attributes}'
            )
        bit = 2 ** torch.arange(sum(self.sizes), device=label.device)
        possible = label.unsqueeze(1).bitwise_and(bit.view(1, -1, 1, 1)) > 0
        weighted = (possible * self.weights.view(1, -1, 1, 1)).split(self.sizes, 1)
        parts = zip(scores.float().split(self.sizes, 1), possible.split(self.sizes, 1), weighted, strict=True)
        return self.loss_weight * torch.stack([_mean(*part) for part in parts]).sum()


def _mean(score: Tensor, allowed: Tensor, weighted: Tensor) -> Tensor:
    told = allowed.any(1) & ~allowed.all(1)
    likelihood = score.log_softmax(1).masked_fill(~allowed & told.unsqueeze(1), -torch.inf).logsumexp(1)
    weight = weighted.amax(1) * told
    return -(likelihood * weight).sum() / weight.sum().clamp_min(torch.finfo(weight.dtype).tiny)
