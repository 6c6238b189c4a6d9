"""Cross entropy of pixels that are labelled at any node of a taxonomy."""

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.options import check_number
from hyperbolic_seg.text import PICTURE, Taxonomy, Vocabulary


@MODELS.register_module()
class HierarchicalCrossEntropyLoss(nn.Module):
    r"""Minus the logarithm of the summed probability of all classes at or below a pixel's label.

    A label "cloud" of a binary mask is content with any genus, "high cloud" with any of three, and a genus asks for
    itself: sets of any depth train one model, by the likelihood of what is known. A label below the classes counts
    for the nearest class above it; the root says nothing and is ignored.

    A picture whose genus is known, but not where in it the clouds are, has the label ``PICTURE + id`` at
    every pixel. It asks for the genus *given* the kind, the node below the root that the genus belongs to:
    :math:`-q \log p(\text{genus} \mid \text{cloud})`, where the weight :math:`q = p(\text{cloud})` is what
    the model knows already and gets no gradient.

    A class of which no picture is labelled, such as a genus that is only asked for later, would be unlearned by every
    label that is not its own. With ``unlabelled`` a label of one class below a kind, such as a genus, tells it from the
    labelled classes alone. Kinds, such as clear sky, and inner nodes, such as "high cloud", are told from all others:
    what nobody has labelled is a cloud, no clear sky, and in its own level only.

    Args:
        taxonomy: What the ids of the labels mean: a built-in vocabulary, a YAML file.
        classes: What the logits stand for, in order: a built-in vocabulary, a YAML file or names.
        node_weight: Weights of labels by the names of their nodes; 1 where none is given.
        picture_weight: Weight of the labels of pictures beside those of pixels.
        parent_weight: Weight of a second term for every label, that of the node above it: what is cirrus is also a
            high cloud. The root asks for nothing.
        unlabelled: Classes of which no pixel and no picture is labelled; labels of them are ignored.
        loss_weight: Factor of the loss.
        loss_name: Its name in the log.

    Raises:
        ValueError: A class or a weighted name is no node, a node lies beside all classes, or what is unlabelled is no
            class or leaves none.
    """

    classes_of: Tensor
    kind_of: Tensor
    above_of: Tensor
    given_of: Tensor
    weight_of: Tensor

    def __init__(
        self,
        taxonomy: str | Taxonomy = 'sky',
        classes: str | Sequence[str] = 'leaves',
        *,
        node_weight: Mapping[str, float] | None = None,
        picture_weight: float = 1.0,
        parent_weight: float = 0.0,
        unlabelled: Sequence[str] = (),
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce',
    ) -> None:
        super().__init__()
        factors = dict(picture_weight=picture_weight, parent_weight=parent_weight, loss_weight=loss_weight)
        for name, factor in (factors | dict(node_weight or {})).items():
            check_number(name, factor, least=0, most=1e30)
        self.taxonomy = Taxonomy.load(taxonomy)
        nodes, chosen = self.taxonomy.nodes, Vocabulary.load(classes)
        if len(nodes) > PICTURE:
            raise ValueError(f'a label file of pictures holds up to {PICTURE} nodes, the taxonomy has {len(nodes)}')
        self.taxonomy.ids(chosen.names)
        self.classes, self.unlabelled, self._name = chosen.names, tuple(unlabelled), loss_name
        self.picture_weight, self.parent_weight, self.loss_weight = picture_weight, parent_weight, loss_weight
        if not set(self.unlabelled) < set(self.classes):
            raise ValueError(f'unlabelled={list(unlabelled)}: expected some, not all, of the classes {self.classes}')
        weights = torch.ones(len(nodes))
        for name, weight in (node_weight or {}).items():
            weights[nodes.index_of(name)] = weight
        allowed = torch.tensor([[self._counts(name, node.name) for name in self.classes] for node in nodes])
        kinds = [node.lineage[-2] if node.ancestors else node.name for node in nodes]
        labelled = torch.tensor([name not in self.unlabelled for name in self.classes])
        self.register_buffer('classes_of', allowed, persistent=False)
        self.register_buffer('kind_of', allowed[self.taxonomy.ids(kinds)], persistent=False)
        self.register_buffer('above_of', allowed[[*map(self.taxonomy.parent, range(len(nodes)))]], persistent=False)
        told_from_all = (allowed.sum(1, keepdim=True) > 1) | (self.taxonomy.depths < 2).unsqueeze(1)
        self.register_buffer('given_of', labelled | told_from_all, persistent=False)
        says = (allowed & labelled).any(1) & ~allowed.all(1)
        self.register_buffer('weight_of', weights * says, persistent=False)

    def _counts(self, name: str, label: str) -> bool:
        """Whether a class is at or below a label, or the nearest class above it."""
        nodes = self.taxonomy.nodes
        lineage = nodes[nodes.index_of(label)].lineage
        if any(label in nodes[nodes.index_of(other)].lineage for other in self.classes):
            return label in nodes[nodes.index_of(name)].lineage
        return name == next((above for above in lineage if above in self.classes), None)

    @property
    def loss_name(self) -> str:
        """Name in the log; what starts with ``loss`` is part of the sum."""
        return self._name

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
        ignore_index: int = 255,
    ) -> Tensor:
        """Return the mean over all pixels with a label that says something.

        Args:
            cls_score: Logits (N, K, ...).
            label: Ids of nodes, or :data:`~hyperbolic_seg.text.PICTURE` and an id, (N, ...).
            weight: Of every pixel, (N, ...).
            avg_factor: Divides the sum in the place of the number of pixels.
            reduction_override: ``'none'`` for the loss of every pixel, ``'sum'`` or ``'mean'``.
            ignore_index: Label to leave out.

        Raises:
            ValueError: The logits are not of the classes, or a label is no node.
        """
        self._check(cls_score, label, ignore_index)
        counted = label != ignore_index
        whole = counted & (label >= PICTURE)
        node = torch.where(whole, label - PICTURE, label).masked_fill(~counted, 0)
        log_p = cls_score.float().log_softmax(1)
        likelihood, weights = self._log_likelihood(log_p, node, whole), self.weight_of[node] * counted
        if whole.any():
            kind = _log_sum(log_p.detach(), self.kind_of[node]).exp()
            weights = weights * torch.where(whole, self.picture_weight * kind, 1)
        losses = -likelihood * weights if weight is None else -likelihood * weights * weight.float()
        if reduction_override == 'none':
            return self.loss_weight * losses
        count = counted & (self.weight_of[node] > 0)
        total = 1 if reduction_override == 'sum' else (count.sum().clamp_min(1) if avg_factor is None else avg_factor)
        return self.loss_weight * losses.sum() / total

    def _log_likelihood(self, log_p: Tensor, node: Tensor, whole: Tensor) -> Tensor:
        """Logarithm of the probability of the labels, and of the nodes above them, given what is known, (N, ...)."""
        found = _log_sum(log_p, self.classes_of[node])
        of_kind = self.kind_of[node] | ~whole.unsqueeze(-1)
        if self.unlabelled or whole.any():
            found = found - _log_sum(log_p, self.given_of[node] & of_kind)
        if self.parent_weight:
            above = _log_sum(log_p, self.above_of[node] & of_kind) - _log_sum(log_p, of_kind)
            found = found + self.parent_weight * above
        return found

    @torch.no_grad()
    def accuracy(self, cls_score: Tensor, label: Tensor, ignore_index: int = 255) -> Tensor:
        """Return the percentage of pixels whose most probable class is at or below their label.

        Args:
            cls_score: Logits (N, K, ...).
            label: As for the loss, (N, ...).
            ignore_index: Label to leave out.
        """
        self._check(cls_score, label, ignore_index)
        counted = label != ignore_index
        node = torch.where(label >= PICTURE, label - PICTURE, label).masked_fill(~counted, 0)
        counted &= self.weight_of[node] > 0
        right = self.classes_of[node].gather(-1, cls_score.argmax(1).unsqueeze(-1)).squeeze(-1)
        return 100 * (right & counted).sum() / counted.sum().clamp_min(1)

    def _check(self, cls_score: Tensor, label: Tensor, ignore_index: int) -> None:
        if cls_score.shape[1] != len(self.classes):
            raise ValueError(
                f'the logits are of {cls_score.shape[1]} classes, the loss has {len(self.classes)}: give it the '
                'classes that the head tells apart'
            )
        count = len(self.taxonomy.nodes)
        bare = torch.where(label >= PICTURE, label - PICTURE, label)[label != ignore_index]
        if bare.numel() and not 0 <= int(bare.min()) <= int(bare.max()) < count:
            raise ValueError(
                f'labels from {int(bare.min())} to {int(bare.max())}: expected ids of nodes, 0 to {count - 1}, and of '
                f'pictures, {PICTURE} to {PICTURE + count - 1}; set metainfo of the data set so that it keeps the ids'
            )


def _log_sum(log_p: Tensor, allowed: Tensor) -> Tensor:
    """Logarithm of the summed probabilities of the classes allowed at every pixel, (N, ...)."""
    allowed = allowed.movedim(-1, 1)
    # Where none is allowed the pixel has no weight; the sum over all keeps its gradient finite.
    return log_p.masked_fill(~(allowed | ~allowed.any(1, keepdim=True)), -torch.inf).logsumexp(1)
