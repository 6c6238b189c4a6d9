"""Embeddings of a vocabulary as a buffer: the base of the frozen and the trained text bank."""

import json
import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyperbolic_seg.text.encoder import OpenCLIPTextEncoder
from hyperbolic_seg.text.phrases import normalize_phrases
from hyperbolic_seg.text.vocabulary import Concept, Vocabulary, check_enough

Phrases = tuple[str, ...]


class BaseTextBank(nn.Module):
    """Text embeddings of a vocabulary, computed on first use and saved with the weights.

    Subclasses implement :meth:`forward`.

    Args:
        encoder: Text encoder.
        vocabulary: Argument of :meth:`~hyperbolic_seg.text.Vocabulary.load`.
        embed_dims: D, the size of an embedding.
        by_template: Keep one embedding per template instead of the mean over templates.

    Raises:
        ValueError: The vocabulary has fewer than two concepts.
    """

    embeddings: Tensor
    encoder_id: Tensor
    taxonomy_bank: 'BaseTextBank | None'

    def __init__(
        self, encoder: OpenCLIPTextEncoder, vocabulary: Any, *, embed_dims: int, by_template: bool = False
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.embed_dims, self.by_template = embed_dims, by_template
        self.taxonomy_bank = None
        # 32 bytes of SHA-256, zero while unknown. A buffer, so that averaged copies of a model carry it too.
        self.register_buffer('encoder_id', torch.zeros(32, dtype=torch.uint8))
        self._encoded = False
        self._replace_vocabulary(Vocabulary.load(vocabulary), device=None)

    def reset_parameters(self) -> None:
        """Forget the embeddings, as after ``to_empty``; they are computed on next use."""
        self.encoder_id.zero_()
        self.embeddings.zero_()
        self._encoded = False

    def set_vocabulary(self, vocabulary: str | Sequence[str] | Vocabulary) -> None:
        """Replace the vocabulary; embeddings are computed on next use.

        Raises:
            ValueError: There are fewer than two concepts.
        """
        loaded = Vocabulary.load(vocabulary)
        if loaded != self.vocabulary:
            self._replace_vocabulary(loaded, device=self.embeddings.device)

    def _replace_vocabulary(self, vocabulary: Vocabulary, *, device: torch.device | None) -> None:
        check_enough(vocabulary)
        self.vocabulary = vocabulary
        self._encoded = False
        shape = (len(self.encoder.templates), self.embed_dims) if self.by_template else (self.embed_dims,)
        self.register_buffer('embeddings', torch.zeros(len(vocabulary), *shape, device=device))

    @property
    def encoded(self) -> bool:
        """True once the embeddings are up to date."""
        return self._encoded

    def init_weights(self) -> None:
        """Compute the embeddings, so that a missing encoder is reported before training starts."""
        self()

    def encode(self) -> None:
        """Compute all missing embeddings, those of the taxonomy too, so that saved weights carry them."""
        self()
        if self.taxonomy_bank is not None:
            self.taxonomy_bank.encode()

    def phrases(self) -> tuple[Tensor, Tensor]:
        """Return unit embeddings of single phrases, (P, D), and the index of the concept of every phrase, (P,)."""
        owner = {phrase: place for place, concept in enumerate(self.vocabulary) for phrase in concept.phrases}
        embeddings = self._encode_vocabulary(Vocabulary(Concept(phrase) for phrase in owner))
        return embeddings, torch.tensor(list(owner.values()))

    def sample(self, *, concentration: float = 0.5, noise: float = 0.3) -> Tensor:
        """Return random mixtures of the phrases of every concept, unit vectors (K, D): paraphrases to train with.

        Args:
            concentration: Concentration of the Dirichlet distribution of the mixing weights: near 0 a single phrase
                dominates, at large values all phrases count alike.
            noise: Expected length of a random vector that is added to the mixture of unit length.
        """
        phrases, owner = (part.to(self.embeddings.device) for part in self.phrases())
        weights = torch.distributions.Gamma(phrases.new_tensor(concentration), 1.0).sample(owner.shape)
        total = weights.new_zeros(len(self.vocabulary)).index_add(0, owner, weights)
        shares = weights / total[owner].clamp_min(torch.finfo(weights.dtype).tiny)
        mixed = phrases.new_zeros(len(self.vocabulary), self.embed_dims).index_add(0, owner, shares[:, None] * phrases)
        mixed = F.normalize(mixed, dim=-1) + noise * torch.randn_like(mixed) / self.embed_dims**0.5
        return F.normalize(mixed, dim=-1).to(self.embeddings)

    def phrases_by_concept(self) -> list[Phrases]:
        """Return the normalized phrases of every concept, which are the key of its embedding."""
        return [normalize_phrases(concept.phrases) for concept in self.vocabulary]

    def _encode_vocabulary(self, vocabulary: Vocabulary, *, by_template: bool = False) -> Tensor:
        """Return unit embeddings of a vocabulary, (K, D), by template (K, P, D)."""
        raise NotImplementedError

    def _check_dims(self, embeddings: Tensor) -> Tensor:
        if embeddings.shape[-1] != self.embed_dims:
            raise ValueError(
                f'{self.encoder!r} gives embeddings of {embeddings.shape[-1]} dimensions, the head expects '
                f'text_dims={self.embed_dims}: set text_dims={embeddings.shape[-1]}. If the encoder does not, '
                f'its cache is damaged: remove {self.encoder.cache_file()}'
            )
        return embeddings

    def get_extra_state(self) -> Tensor:
        """Return phrases and templates as JSON in a byte tensor, which every checkpoint format can hold."""
        words = [list(concept.phrases) for concept in self.vocabulary]
        saved = dict(words=words, templates=list(self.encoder.templates))
        return torch.frombuffer(bytearray(json.dumps(saved).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Do nothing: :meth:`_load_from_state_dict` has to read the phrases before the buffers."""

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        _rename_older_keys(state_dict, prefix)
        self._encoded = False
        self._read_embeddings(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _read_embeddings(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Check the embeddings of a checkpoint, and replace those of another vocabulary by the current ones."""
        extra, embeddings = state_dict.get(f'{prefix}_extra_state'), state_dict.get(f'{prefix}embeddings')
        if extra is None:
            if embeddings is not None:
                self._take_own(embeddings)
            return
        saved = json.loads(bytes(extra.cpu().tolist()))
        saved = saved if isinstance(saved, dict) else dict(words=saved)  # older checkpoints hold no templates
        encoder_id, embeddings = state_dict[f'{prefix}encoder_id'], state_dict[f'{prefix}embeddings']
        self._check_origin(saved.get('templates'), encoder_id)
        words = [normalize_phrases(phrases) for phrases in saved['words']]
        if words == self.phrases_by_concept():
            self._take_own(embeddings)
            return
        warnings.warn(
            f'the checkpoint was trained to name {[phrases[0] for phrases in saved["words"]]}; '
            f'it is used to name {list(self.vocabulary.names)}',
            stacklevel=2,
        )
        self._take_others(dict(zip(words, embeddings.float().cpu(), strict=True)))
        state_dict[f'{prefix}embeddings'] = self.embeddings

    def _check_origin(self, templates: list[str] | None, encoder_id: Tensor) -> None:
        """Raise ``RuntimeError`` if the embeddings of a checkpoint do not go with those of this bank."""

    def _take_own(self, embeddings: Tensor) -> None:
        """Note that the embeddings of a checkpoint are those of the current vocabulary."""

    def _take_others(self, embeddings: dict[Phrases, Tensor]) -> None:
        """Keep the embeddings of a checkpoint with another vocabulary."""


def _rename_older_keys(state_dict: dict[str, Any], prefix: str) -> None:
    """Rename the keys of older checkpoints, in which the bank of the taxonomy was called ``lexicon``, in place."""
    older = f'{prefix}lexicon.'
    for key in [key for key in state_dict if key.startswith(older)]:
        state_dict[f'{prefix}taxonomy_bank.{key.removeprefix(older)}'] = state_dict.pop(key)
