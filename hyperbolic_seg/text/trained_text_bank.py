"""The words a head classifies by, encoded by a text tower that is trained with it."""

from typing import Any

import torch
from torch import Tensor

from hyperbolic_seg.text import Concept, OpenCLIPTextEncoder, TextTower, Vocabulary
from hyperbolic_seg.text.text_bank import TextBank


class TrainedTextBank(TextBank):
    """Text embeddings that follow the weights of a tower.

    They are computed anew in every step of a training, with gradients, and in evaluation once after each training and
    each loading of the bank; after other changes of the weights call ``train(False)``. The tower is saved with them, so
    that a checkpoint answers to all words.

    Args:
        encoder: The text encoder, of which the tower is built.
        vocabulary: What :meth:`Vocabulary.load` takes.
        embed_dims: D, the size of the encoder's embeddings.
        lexicon: More words, which follow the same tower.
        by_template: Keep the embeddings of every template, and not their mean.
        tower: A tower that belongs to another bank, to encode with that.
    """

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
        self._lent = (tower,)  # in a tuple: a module is the part of one other alone
        if taxonomy_bank is not None:
            options: dict[str, Any] = dict(embed_dims=embed_dims, by_template=by_template, tower=self._tower)
            self.taxonomy_bank = TrainedTextBank(encoder, taxonomy_bank, **options)

    @property
    def _tower(self) -> TextTower:
        found = self._lent[0] if self.tower is None else self.tower
        assert found is not None
        return found

    @property
    def encoded(self) -> bool:
        """Whether the buffer holds what the tower makes of the words with its weights of now."""
        return self._encoded

    def init_weights(self) -> None:
        """Load the weights of the tower and encode the words."""
        if self.tower is not None:
            self.tower.init_weights()
        self._encode()

    def train(self, mode: bool = True) -> 'TrainedTextBank':
        """Turn to training or evaluation; what was encoded before or within a training is of no use after it."""
        self._encoded = self._encoded and not (mode or self.training)
        return super().train(mode)

    def forward(self) -> Tensor:
        """Return the embeddings, (K, D), by templates (K, P, D), in training with gradients."""
        if self.training and torch.is_grad_enabled():
            found = self._by_tower()
            self.embeddings = found.detach().to(self.embeddings)
            return found
        # Within a step of training, what that step has encoded.
        if not self.encoded and not (self.training and self.embeddings.any()):
            self._encode()
        return self.embeddings

    def phrases(self) -> tuple[Tensor, Tensor]:
        """Return every phrase by itself: unit embeddings (P, D), and the concepts they belong to, (P,)."""
        owner = {phrase: place for place, concept in enumerate(self.vocabulary) for phrase in concept.phrases}
        each = Vocabulary(Concept(phrase) for phrase in owner)
        return self.encoder.encode_vocabulary(each, tower=self._tower), torch.tensor(list(owner.values()))

    def _by_tower(self) -> Tensor:
        found = self.encoder.encode_vocabulary(self.vocabulary, by_template=self.by_template, tower=self._tower)
        self._check_dims(found)
        return found

    @torch.no_grad()
    def _encode(self) -> None:
        self.embeddings = self._by_tower().to(self.embeddings)
        self._encoded = True

    def _remember(self) -> None:
        """Nothing is known for later: the tower changes."""

    def _know(self, rows: dict[tuple[str, ...], Tensor], *, keep: bool) -> None:
        """Nothing is known for later, of checkpoints neither."""
