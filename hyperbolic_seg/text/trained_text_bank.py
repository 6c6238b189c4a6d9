"""Text bank of a trained encoder: embeddings follow the weights of the tower."""

from typing import Any

import torch
from torch import Tensor

from hyperbolic_seg.text.base_text_bank import BaseTextBank
from hyperbolic_seg.text.encoder import OpenCLIPTextEncoder
from hyperbolic_seg.text.tower import TextTower
from hyperbolic_seg.text.vocabulary import Vocabulary


class TrainedTextBank(BaseTextBank):
    """Text embeddings of a tower that is trained with the model.

    Training computes them in every step, with gradients; evaluation once after every training or loading. After any
    other change of the weights call ``train(False)``. The tower is saved too, so a checkpoint can encode any word.

    Args:
        encoder: Text encoder, which builds the tower.
        vocabulary: Argument of :meth:`Vocabulary.load`.
        embed_dims: D, the size of an embedding.
        taxonomy_bank: Further vocabulary on the same tower, such as the nodes of a taxonomy.
        by_template: Keep one embedding per template instead of the mean over templates.
        tower: Tower of another bank to share; by default the bank builds its own.
    """

    taxonomy_bank: 'TrainedTextBank | None'

    def __init__(
        self,
        encoder: OpenCLIPTextEncoder,
        vocabulary: Any,
        *,
        embed_dims: int,
        taxonomy_bank: Any = None,
        by_template: bool = False,
        tower: TextTower | None = None,
    ) -> None:
        super().__init__(encoder, vocabulary, embed_dims=embed_dims, by_template=by_template)
        self.tower = encoder.build_tower() if tower is None else None
        self._shared = (tower,)  # in a tuple: a module is registered, and saved, with one parent only
        if taxonomy_bank is not None:
            options: dict[str, Any] = dict(embed_dims=embed_dims, by_template=by_template, tower=self._tower)
            self.taxonomy_bank = TrainedTextBank(encoder, taxonomy_bank, **options)

    @property
    def _tower(self) -> TextTower:
        tower = self._shared[0] if self.tower is None else self.tower
        if tower is None:
            raise RuntimeError('the text bank has no tower')
        return tower

    def init_weights(self) -> None:
        """Load the weights of the tower and encode the words."""
        if self.tower is not None:
            self.tower.init_weights()
        self._refresh()

    def train(self, mode: bool = True) -> 'TrainedTextBank':
        """Switch between training and evaluation; embeddings from before or during training become stale."""
        self._encoded = self._encoded and not (mode or self.training)
        return super().train(mode)

    def forward(self) -> Tensor:
        """Return the embeddings, (K, D), by template (K, P, D), with gradients in training."""
        if self.training and torch.is_grad_enabled():
            current = self._current()
            self.embeddings = current.detach().to(self.embeddings)
            return current
        # Without gradients in a training step, the embeddings of that step are current enough.
        if not self.encoded and not (self.training and self.embeddings.any()):
            self._refresh()
        return self.embeddings

    def _encode_vocabulary(self, vocabulary: Vocabulary, *, by_template: bool = False) -> Tensor:
        return self.encoder.encode_vocabulary(vocabulary, by_template=by_template, tower=self._tower)

    def _current(self) -> Tensor:
        return self._check_dims(self._encode_vocabulary(self.vocabulary, by_template=self.by_template))

    @torch.no_grad()
    def _refresh(self) -> None:
        self.embeddings = self._current().to(self.embeddings)
        self._encoded = True
