"""Cross entropy of pixels that are labeled with any node of a taxonomy."""

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.options import check_number
from hyperbolic_seg.text import WHOLE_IMAGE, Taxonomy, Vocabulary


@MODELS.register_module()
class HierarchicalCrossEntropyLoss(nn.Module):
    r"""Minus the logarithm of the summed probability of all classes at or below a pixel's label.

    A label may be any node of a taxonomy: "animal" of a coarse mask accepts cat and dog alike, and "cat" asks for
    itself. So datasets of any depth train one model, by the likelihood of what is known. A label below the classes
    counts for the nearest class above it. The root says nothing and is ignored. A label may also be one of the sets of
    the taxonomy, such as "cat or car, not told which": the probabilities of all its members add up.

    An image that is known to show a node, but not where, has the label ``WHOLE_IMAGE + id`` at every pixel. It asks for
    the node *given* its kind, the node below the root that it belongs to: :math:`-q \log p(\text{cat} \mid
    \text{animal})`, where the weight :math:`q = p(\text{animal})` is what the model knows already and gets no gradient.

    A class that no image labels, and that is only prompted later, would be unlearned by every label of another class.
    With ``unlabeled`` a label of one class below a kind is compared with the labeled classes alone. Kinds and inner
    nodes are still compared with all others: what nobody has labeled still lies below one of them.

    Args:
        taxonomy: The tree that the ids of the labels belong to: a built-in vocabulary or a YAML file.
        classes: The classes of the logits, in order: a built-in vocabulary, a YAML file or names. By default the leaves
            of the taxonomy.
        node_weight: Weights of labels by the names of their nodes or sets; 1 where none is given.
        image_weight: Weight of the labels of whole images beside those of pixels.
        parent_weight: Weight of a second term for every label, that of the node above it: a cat is also an animal. The
            root asks for nothing.
        unlabeled: Classes that no pixel and no image is labeled with; labels of them are ignored.
        loss_weight: Factor of the loss.
        loss_name: Its name in the log.

    Raises:
        ValueError: A class or a weighted name is no node, a node lies beside all classes, or ``unlabeled`` is no
            class or leaves none.
    """

    row_of: Tensor
    classes_of: Tensor
    kind_of: Tensor
    above_of: Tensor
    given_of: Tensor
    weight_of: Tensor

    def __init__(
        self,
        taxonomy: str | Taxonomy,
        classes: str | Sequence[str] | None = None,
        *,
        node_weight: Mapping[str, float] | None = None,
        image_weight: float = 1.0,
        parent_weight: float = 0.0,
        unlabeled: Sequence[str] = (),
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce',
    ) -> None:
        super().__init__()
        factors = dict(image_weight=image_weight, parent_weight=parent_weight, loss_weight=loss_weight)
        for name, factor in (factors | dict(node_weight or {})).items():
            check_number(name, factor, least=0, most=1e30)
        self.taxonomy = Taxonomy.load(taxonomy)
        nodes = self.taxonomy.nodes
        chosen = self.taxonomy.leaves if classes is None else Vocabulary.load(classes)
        if len(nodes) > WHOLE_IMAGE:
            raise ValueError(f'a label of a whole image holds up to {WHOLE_IMAGE} nodes, the taxonomy has {len(nodes)}')
        self.taxonomy.ids(chosen.names)
        self.classes, self.unlabeled, self._name = chosen.names, tuple(unlabeled), loss_name
        self.image_weight, self.parent_weight, self.loss_weight = image_weight, parent_weight, loss_weight
        if not set(self.unlabeled) < set(self.classes):
            raise ValueError(f'unlabeled={list(unlabeled)}: expected some, not all, of the classes {self.classes}')
        self.node_weight = dict(node_weight or {})
        for name, table in self._tables().items():
            self.register_buffer(name, table, persistent=False)

    def reset_parameters(self) -> None:
        """Fill the tables of labels, as after ``to_empty``."""
        for name, table in self._tables().items():
            getattr(self, name).copy_(table)

    def _tables(self) -> dict[str, Tensor]:
        """Return what every label says of the classes, a row each, and the row of every value, -1 for none.

        The rows of labels of pixels come first, and then those of the same labels of whole images.
        """
        nodes, labels = self.taxonomy.nodes, self.taxonomy.labels
        row_of = torch.full((2 * WHOLE_IMAGE,), -1)
        row_of[list(labels)] = torch.arange(len(labels))
        row_of[[WHOLE_IMAGE + value for value in labels]] = len(labels) + torch.arange(len(labels))
        weights = torch.ones(len(labels))
        named = {label_set.name: label_set.id for label_set in nodes.label_sets}
        for name, weight in self.node_weight.items():
            weights[row_of[named[name] if name in named else nodes.index_of(name)]] = weight
        of_nodes = torch.tensor([[self._counts(name, node.name) for name in self.classes] for node in nodes])
        kinds = self.taxonomy.ids([node.lineage[-2] if node.ancestors else node.name for node in nodes])
        parents = [*map(self.taxonomy.parent, range(len(nodes)))]

        def of_labels(of_node: Tensor) -> Tensor:
            return torch.stack([of_node[list(members)].any(0) for members in labels.values()])

        allowed = of_labels(of_nodes)
        labeled = torch.tensor([name not in self.unlabeled for name in self.classes])
        told_from_all = (allowed.sum(1, keepdim=True) > 1) | of_labels((self.taxonomy.depths < 2).unsqueeze(1))
        says = (allowed & labeled).any(1) & ~allowed.all(1)
        kind, above, given = of_labels(of_nodes[kinds]), of_labels(of_nodes[parents]), labeled | told_from_all
        return dict(
            row_of=row_of,
            classes_of=allowed.repeat(2, 1),
            kind_of=torch.cat([torch.ones_like(kind), kind]),
            above_of=torch.cat([above, above & kind]),
            given_of=torch.cat([given, given & kind]),
            weight_of=(weights * says).repeat(2),
        )

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
            label: Ids of nodes or label sets, or :data:`~hyperbolic_seg.text.taxonomy.WHOLE_IMAGE` and an id, (N, ...).
            weight: Of every pixel, (N, ...).
            avg_factor: Divides the sum instead of the number of pixels.
            reduction_override: ``'none'`` for the loss of every pixel, ``'sum'`` or ``'mean'``.
            ignore_index: Label to leave out.

        Raises:
            ValueError: The logits are not of the classes, or a label is neither a node nor a set.
        """
        row, counted = self._rows(cls_score, label, ignore_index)
        whole = counted & (label >= WHOLE_IMAGE)
        log_p = cls_score.float().log_softmax(1)
        likelihood, weights = self._log_likelihood(log_p, row, whole), self.weight_of[row] * counted
        if whole.any():
            kind = _log_sum(log_p.detach(), self.kind_of, row).exp()
            weights = weights * torch.where(whole, self.image_weight * kind, 1)
        losses = -likelihood * weights if weight is None else -likelihood * weights * weight.float()
        if reduction_override == 'none':
            return self.loss_weight * losses
        count = counted & (self.weight_of[row] > 0)
        total = 1 if reduction_override == 'sum' else (count.sum().clamp_min(1) if avg_factor is None else avg_factor)
        return self.loss_weight * losses.sum() / total

    def _log_likelihood(self, log_p: Tensor, row: Tensor, whole: Tensor) -> Tensor:
        """Logarithm of the probability of the labels, and of the nodes above them, given what is known, (N, ...)."""
        found = _log_sum(log_p, self.classes_of, row)
        # In an image without labels of its whole, all classes are given, and their probabilities add up to 1.
        conditional = torch.ones_like(whole) if self.unlabeled else whole
        images = conditional.flatten(1).any(1).nonzero().flatten()
        if len(images):
            found = found.index_add(0, images, _log_sum(log_p[images], self.given_of, row[images]), alpha=-1)
        if self.parent_weight:
            above = _log_sum(log_p, self.above_of, row) - _log_sum(log_p, self.kind_of, row)
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
        row, counted = self._rows(cls_score, label, ignore_index)
        counted &= self.weight_of[row] > 0
        right = self.classes_of[row, cls_score.argmax(1)]
        return 100 * (right & counted).sum() / counted.sum().clamp_min(1)

    def _rows(self, cls_score: Tensor, label: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
        """Return the row of every label in the tables, (N, ...), and where a label is not ignored, after checks."""
        if cls_score.shape[1] != len(self.classes):
            raise ValueError(
                f'the logits are of {cls_score.shape[1]} classes, the loss has {len(self.classes)}: give it the '
                'classes that the head tells apart'
            )
        counted = label != ignore_index
        value = label.masked_fill(~counted, self.taxonomy.nodes.index_of(self.taxonomy.root))
        row = self.row_of[value.clamp(0, len(self.row_of) - 1)]
        if (row < 0).any() or (value < 0).any() or (value >= len(self.row_of)).any():
            bare = torch.where(value >= WHOLE_IMAGE, value - WHOLE_IMAGE, value)
            sets = ''.join(f', {label_set.id} for {label_set.name!r}' for label_set in self.taxonomy.nodes.label_sets)
            raise ValueError(
                f'labels from {int(bare.min())} to {int(bare.max())}: expected ids of nodes, 0 to '
                f'{len(self.taxonomy.nodes) - 1}{sets}, and {WHOLE_IMAGE} more for whole images; set metainfo of the '
                'dataset to keep the ids'
            )
        return row, counted


def _log_sum(log_p: Tensor, allowed: Tensor, row: Tensor) -> Tensor:
    """Logarithm of the summed probabilities of the classes that a row of a table (R, K) allows, (N, ...)."""
    # Where none is allowed the pixel has no weight; the sum over all keeps its gradient finite.
    forbidden = ~allowed & allowed.any(1, keepdim=True)
    # Indexed class by class: the mask has the layout of the logits.
    return log_p.masked_fill(forbidden.t()[:, row].transpose(0, 1), -torch.inf).logsumexp(1)
