"""Losses that order the words of a taxonomy: general ones near the origin, special ones further out."""

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.layers import HierarchyLoss, RadiusLoss
from hyperbolic_seg.text import Taxonomy


@MODELS.register_module()
class TextEntailmentLoss(HierarchyLoss):
    """Every node in the entailment cone of its parent; see :class:`~hyperbolic_seg.layers.HierarchyLoss`.

    Args:
        taxonomy: The tree whose nodes are the rows of the embeddings: a built-in vocabulary or a YAML file. A head
            passes its own.
        k: Size of the neighborhood of the origin in which a cone is a half-space.
        slack: Factor of the aperture.
        loss_weight: Factor of the loss; MERU weighs entailment by 0.2.
        loss_name: Its name in the log.
    """

    def __init__(
        self,
        taxonomy: str | Taxonomy,
        *,
        k: float = 0.1,
        slack: float = 1.0,
        loss_weight: float = 0.2,
        loss_name: str = 'loss_entailment',
    ) -> None:
        super().__init__(Taxonomy.load(taxonomy).edges, k=k, slack=slack)
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(self, nodes: Tensor, c: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Return the loss of the nodes' embeddings, shape (number of nodes, D)."""
        return self.loss_weight * super().forward(nodes, c)


@MODELS.register_module()
class TextRadiusLoss(nn.Module):
    """Every node at a hyperbolic radius that grows with its depth, so that a parent is nearer to the origin.

    Args:
        taxonomy: The tree whose nodes are the rows of the embeddings: a built-in vocabulary or a YAML file. A head
            passes its own.
        nearest: Radius of the root.
        farthest: Radius of the deepest nodes; those between lie evenly between.
        loss_weight: Factor of the loss.
        loss_name: Its name in the log.

    Raises:
        ValueError: The radii do not grow.
    """

    targets: Tensor

    def __init__(
        self,
        taxonomy: str | Taxonomy,
        *,
        nearest: float = 0.5,
        farthest: float = 3.0,
        loss_weight: float = 0.1,
        loss_name: str = 'loss_radius',
    ) -> None:
        super().__init__()
        if not 0 <= nearest < farthest:
            raise ValueError(f'radii grow from the root to the leaves: got nearest={nearest} and farthest={farthest}')
        self.depths, self.nearest, self.farthest = Taxonomy.load(taxonomy).depths, nearest, farthest
        self.register_buffer('targets', torch.empty(len(self.depths)), persistent=False)
        self.loss = RadiusLoss()
        self.loss_weight, self.loss_name = loss_weight, loss_name
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the radii, as after ``to_empty``."""
        share = self.depths.float() / self.depths.max()
        self.targets.copy_(self.nearest + (self.farthest - self.nearest) * share)

    def forward(self, nodes: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the loss of the nodes' embeddings, shape (number of nodes, D); a radius knows no curvature."""
        loss: Tensor = self.loss(nodes, self.targets)
        return self.loss_weight * loss
