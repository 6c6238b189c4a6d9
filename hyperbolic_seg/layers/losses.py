"""Losses on embeddings in tangent coordinates: contrast, entailment and radius.

The models of this package use ``HierarchyLoss`` and ``RadiusLoss``. ``ContrastiveLoss`` and ``CompositionalLoss`` are
extensions for training on pairs of images and texts.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyperbolic_seg.geometry import exterior_angle, half_aperture, pairwise_distance, radius
from hyperbolic_seg.layers.curvature import Curvature
from hyperbolic_seg.layers.scalars import ScalarParameters


class EntailmentLoss(nn.Module):
    r"""Mean of :math:`\max(0, \text{exterior angle} - \eta\,\text{half-aperture})` over pairs of parent and child.

    The loss is zero where every child lies in the entailment cone of its parent (Ganea et al., ICML 2018). MERU (Desai
    et al., ICML 2023) gives it a weight of 0.2.

    Args:
        k: Size of the neighborhood of the origin in which a cone is a half-space.
        slack: Eta, the factor on the aperture; HyCoCLIP uses 0.7 between modalities and 1.2 within one.
        c: Curvature magnitude, unless one is passed with the embeddings.
    """

    def __init__(self, *, k: float = 0.1, slack: float = 1.0, c: float = 1.0) -> None:
        super().__init__()
        self.k, self.slack = k, slack
        self.curvature = Curvature(c)

    def forward(self, parent: Tensor, child: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the loss.

        Args:
            parent: General concepts, shape (N, D).
            child: Concepts that they entail, shape (N, D).
            c: Curvature magnitude of their space, such as the learned one of a layer.
        """
        c = self.curvature() if c is None else c
        excess = exterior_angle(parent, child, c) - self.slack * half_aperture(parent, c, self.k)
        return excess.clamp_min(0).mean()


class HierarchyLoss(EntailmentLoss):
    """:class:`EntailmentLoss` over the edges of a tree whose nodes are rows of one matrix.

    Args:
        edges: Pairs (parent, child) of row numbers, from the root down.
        k: Size of the neighborhood of the origin in which a cone is a half-space.
        slack: Eta, the factor on the aperture.
        c: Curvature magnitude, unless one is passed with the embeddings.

    Raises:
        ValueError: There are no edges, or one of them joins a node with itself.
    """

    edges: Tensor

    def __init__(self, edges: list[tuple[int, int]], *, k: float = 0.1, slack: float = 1.0, c: float = 1.0) -> None:
        super().__init__(k=k, slack=slack, c=c)
        if not edges or any(parent == child for parent, child in edges):
            raise ValueError(f'expected pairs (parent, child) of different row numbers, got {edges}')
        self._edges = edges
        self.register_buffer('edges', torch.empty(len(edges), 2, dtype=torch.long), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the edges, as after ``to_empty``."""
        self.edges.copy_(torch.tensor(self._edges))

    def forward(self, nodes: Tensor, c: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Return the loss of the nodes' embeddings, shape (number of nodes, D)."""
        if int(self.edges.max()) >= len(nodes):
            raise ValueError(f'the edges name row {int(self.edges.max())}, got {len(nodes)} embeddings')
        return super().forward(nodes[self.edges[:, 0]], nodes[self.edges[:, 1]], c)


class ContrastiveLoss(ScalarParameters):
    """Symmetric contrastive loss of paired embeddings, with minus their hyperbolic distance as logits (MERU).

    Args:
        temperature: Initial divisor of the distances; it stays above 0.01.
        learned: Learn the temperature.
        c: Curvature magnitude, unless one is passed with the embeddings.
    """

    def __init__(self, *, temperature: float = 0.07, learned: bool = True, c: float = 1.0) -> None:
        super().__init__()
        if temperature < 0.01:
            raise ValueError(f'temperature={temperature}: expected at least 0.01')
        self.curvature, self.temperature = Curvature(c), temperature
        self.log_scale = nn.Parameter(torch.empty(1), requires_grad=learned)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Return to the temperature of the start."""
        nn.init.constant_(self.log_scale, -math.log(self.temperature))

    def logits(self, v: Tensor, w: Tensor, c: Tensor | None = None) -> Tensor:
        """Return logits (N, M): minus the distance between every two rows, divided by the temperature."""
        c = self.curvature() if c is None else c
        return -self.log_scale.exp().clamp_max(100) * pairwise_distance(v, w, c)

    def forward(self, v: Tensor, w: Tensor, c: Tensor | None = None) -> Tensor:
        """Return the loss of N pairs (N, D), (N, D): row i of one belongs to row i of the other."""
        logits = self.logits(v, w, c)
        target = torch.arange(len(v), device=v.device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.t(), target)) / 2


class CompositionalLoss(nn.Module):
    """Contrast and entailment of wholes and parts, as in HyCoCLIP (Pal et al., ICLR 2025).

    A part of an image (a box) or of a text (a noun) is more general than the whole, and a text is more general than
    its image: parts entail wholes, texts entail images. Parts are contrasted only with wholes of the other modality,
    because parts of different images may show the same object.

    Args:
        weight: Weight of the entailment relative to the contrast.
        between: Slack of the cones from text to image.
        within: Slack of the cones from part to whole.
        k: Size of the neighborhood of the origin in which a cone is a half-space.
        temperature: Initial divisor of the distances.
        c: Curvature magnitude, unless one is passed with the embeddings.
    """

    def __init__(
        self,
        *,
        weight: float = 0.1,
        between: float = 0.7,
        within: float = 1.2,
        k: float = 0.1,
        temperature: float = 0.07,
        c: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.curvature = Curvature(c)
        self.contrast = ContrastiveLoss(temperature=temperature, c=c)
        self.between, self.within = EntailmentLoss(k=k, slack=between, c=c), EntailmentLoss(k=k, slack=within, c=c)

    def forward(
        self, image: Tensor, text: Tensor, image_part: Tensor, text_part: Tensor, c: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Return ``loss_contrast`` and ``loss_entailment`` of N images, texts and a part of each, all (N, D)."""
        c = self.curvature() if c is None else c
        target = torch.arange(len(image), device=image.device)
        pairs = ((image, text), (text, image), (image_part, text), (text_part, image))
        contrast = sum(F.cross_entropy(self.contrast.logits(v, w, c), target) for v, w in pairs) / len(pairs)
        entailment = self.between(text, image, c) + self.between(text_part, image_part, c)
        entailment = entailment + self.within(image_part, image, c) + self.within(text_part, text, c)
        return dict(loss_contrast=contrast, loss_entailment=self.weight * entailment)


class RadiusLoss(nn.Module):
    """Mean squared difference between the hyperbolic radius and a target.

    Args:
        target: Radius in units of the space; :meth:`forward` accepts one per vector instead.
        dim: Dimension of the vectors.
    """

    def __init__(self, target: float | None = None, *, dim: int = -1) -> None:
        super().__init__()
        if target is not None and target < 0:
            raise ValueError(f'target={target}: expected a radius of at least 0')
        self.target, self.dim = target, dim

    def forward(self, v: Tensor, target: Tensor | None = None) -> Tensor:
        """Return the loss of vectors (..., D, ...); ``target`` broadcasts to their shape without D."""
        wanted = self.target if target is None else target
        if wanted is None:
            raise ValueError('there is no target radius: give target when the loss is built or when it is called')
        return (radius(v, self.dim) - wanted).square().mean()
