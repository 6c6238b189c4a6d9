"""Multilabel cross entropy: each class against all others, at every pixel."""

from typing import Any

import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.geometry.numeric import at_least_float32, full_precision
from hyperbolic_seg.options import check_number

IGNORED = ('skip', 'negative')


@MODELS.register_module()
class MultilabelCrossEntropyLoss(nn.Module):
    """Binary cross entropy of every class, averaged over pixels and classes.

    It differs from ``CrossEntropyLoss`` with ``use_sigmoid=True`` in what ignored pixels may count as. In the released
    code of CAT-Seg and HyperCLIP they are pixels that no class is at, which teaches that nothing is there.

    Args:
        ignored: ``'skip'`` leaves ignored pixels out, ``'negative'`` is as released.
        loss_weight: Factor of the loss.
        loss_name: Name in the log.

    Raises:
        ValueError: An option is out of range.
    """

    use_sigmoid = True
    """Each class has a probability of its own; heads ask for this."""

    def __init__(self, *, ignored: str = 'skip', loss_weight: float = 1.0, loss_name: str = 'loss_multilabel') -> None:
        super().__init__()
        if ignored not in IGNORED:
            raise ValueError(f'ignored={ignored!r}: expected one of {IGNORED}')
        check_number('loss_weight', loss_weight, least=0)
        self.ignored, self.loss_weight, self._name = ignored, loss_weight, loss_name

    @property
    def loss_name(self) -> str:
        """Name in the log."""
        return self._name

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        ignore_index: int = 255,
        **kwargs: Any,
    ) -> Tensor:
        """Return the loss.

        Args:
            cls_score: Logits, (N, K, H, W).
            label: Class of every pixel, or ``ignore_index``, (N, H, W).
            weight: Weight of every pixel, (N, H, W).
            ignore_index: Label of ignored pixels.
            **kwargs: Not used.
        """
        known = label != ignore_index
        with full_precision(cls_score.device):
            # softplus(x) is the loss of a class that is not there; one that is costs x less.
            scores = at_least_float32(cls_score)
            there = scores.gather(1, label.where(known, 0).unsqueeze(1)).squeeze(1)
            losses = F.softplus(scores).sum(1) - there * known
            if self.ignored == 'skip':
                losses = losses * known
            count = known.sum().clamp_min(1) if self.ignored == 'skip' else known.numel()
            losses = losses if weight is None else losses * weight
            return self.loss_weight * losses.sum() / (count * cls_score.shape[1])
