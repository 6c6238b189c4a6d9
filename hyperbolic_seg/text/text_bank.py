"""The words a head classifies by: their embeddings as a buffer that follows the vocabulary."""

import json
import warnings
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from cachetools import LRUCache
from torch import Tensor, nn

from hyperbolic_seg.text import Concept, OpenCLIPTextEncoder, Vocabulary


class TextBank(nn.Module):
    """Text embeddings of a vocabulary, encoded when first needed and saved with the weights.

    A checkpoint carries the embeddings with the names and the encoder they belong to, so a model answers to
    its own vocabulary without any text encoder, and other words are only ever encoded by the same one. Words of a
    checkpoint are known for as long as the bank lives, words encoded since while there is room for them.

    Args:
        encoder: The text encoder.
        vocabulary: What :meth:`Vocabulary.load` takes.
        embed_dims: D, the size of the encoder's embeddings.
        lexicon: More words to keep with the weights, so that a vocabulary of them needs no text encoder.
        reading: Options of :func:`smooth_prompts`, by which words that the lexicon lacks are moved towards those in it;
            ``None`` takes them as they are encoded.
        by_template: Keep the embeddings of every template, and not their mean.
        remembered: How many embeddings of words of former vocabularies to hold, 4 D bytes each; those that were not
            used for longest are dropped, and encoded anew when they are asked for.

    Raises:
        ValueError: ``remembered`` is less than one, or ``prompt_smoothing`` is given with ``by_template``.
    """

    embeddings: Tensor
    encoder_id: Tensor

    def __init__(
        self,
        encoder: OpenCLIPTextEncoder,
        vocabulary: Any,
        *,
        embed_dims: int,
        taxonomy_bank: Any = None,
        prompt_smoothing: dict | None = None,
        by_template: bool = False,
        remembered: int = 2**14,
    ) -> None:
        super().__init__()
        if remembered < 1:
            raise ValueError(f'remembered={remembered}: expected at least 1')
        if prompt_smoothing is not None and by_template:
            raise ValueError('reading is for the means of all templates, by_template keeps them apart: leave one out')
        self.encoder = encoder
        self.embed_dims, self.prompt_smoothing, self.by_template = embed_dims, prompt_smoothing, by_template
        # Buffers, so that averaged copies of a model follow: 32 bytes of SHA-256, zero while unknown.
        self.register_buffer('encoder_id', torch.zeros(32, dtype=torch.uint8))
        self._encoded = False
        self._from_checkpoint = False
        self._kept: dict[tuple[str, ...], Tensor] = {}  # of checkpoints, maybe the only copies
        of_each = len(encoder.templates) if by_template else 1
        self._recent: LRUCache[tuple[str, ...], Tensor] = LRUCache(max(1, remembered // of_each))
        options: dict[str, Any] = dict(embed_dims=embed_dims, by_template=by_template)
        self.taxonomy_bank = None if taxonomy_bank is None else TextBank(encoder, taxonomy_bank, **options)
        self.set_vocabulary(vocabulary)

    def set_vocabulary(self, vocabulary: str | Sequence[str] | Vocabulary) -> None:
        """Put other words in place; those not met before are encoded when first needed.

        Raises:
            ValueError: There are fewer than two concepts.
        """
        loaded = Vocabulary.load(vocabulary)
        check_enough(loaded)
        if getattr(self, 'vocabulary', None) == loaded:
            return
        device = None
        if hasattr(self, 'embeddings'):
            device = self.embeddings.device
            self._remember()
        self.vocabulary = loaded
        self._encoded = self._from_checkpoint = False
        self._phrases: tuple[Tensor, Tensor] | None = None
        shape = (len(self.encoder.templates), self.embed_dims) if self.by_template else (self.embed_dims,)
        self.register_buffer('embeddings', torch.zeros(len(loaded), *shape, device=device))

    @property
    def fingerprint(self) -> str | None:
        """What identifies the encoder of the embeddings, ``None`` while there are none."""
        digest = bytes(self.encoder_id.tolist())
        return digest.hex() if any(digest) else None

    @property
    def encoded(self) -> bool:
        """Whether the buffer holds the embeddings of the words; units, they are zero before."""
        if not self._encoded:
            self._encoded = bool(self.embeddings.any())
        return self._encoded

    def init_weights(self) -> None:
        """Encode the words, so that a missing encoder is noticed before a training."""
        self()

    def forward(self) -> Tensor:
        """Return the embeddings, (K, D), by templates (K, P, D), encoding them if need be."""
        if not self.encoded:
            self._encode()
        return self.embeddings

    def _check_dims(self, encoded: Tensor) -> None:
        if encoded.shape[-1] != self.embed_dims:
            raise ValueError(
                f'{self.encoder!r} gives embeddings of {encoded.shape[-1]} dimensions, the head expects '
                f'text_dims={self.embed_dims}: set text_dims={encoded.shape[-1]}'
            )

    def encode(self) -> None:
        """Encode what is not encoded yet, the lexicon too, so that saved weights carry it."""
        self()
        if self.taxonomy_bank is not None:
            self.taxonomy_bank.encode()

    def sample(self, *, concentration: float = 0.5, noise: float = 0.3) -> Tensor:
        """Return embeddings of other words for the same, (K, D): random mixtures of each concept's phrases.

        Args:
            concentration: Of the Dirichlet distribution of the weights: towards 0 one phrase speaks, with large
                ones all do.
            noise: Length of a random vector that is added before the result is made a unit vector.
        """
        phrases, owner = (part.to(self.embeddings.device) for part in self.phrases())
        weights = torch.distributions.Gamma(phrases.new_tensor(concentration), 1.0).sample(owner.shape)
        total = weights.new_zeros(len(self.vocabulary)).index_add(0, owner, weights)
        shares = weights / total[owner].clamp_min(torch.finfo(weights.dtype).tiny)
        mixed = phrases.new_zeros(len(self.vocabulary), self.embed_dims).index_add(0, owner, shares[:, None] * phrases)
        mixed = F.normalize(mixed, dim=-1) + noise * torch.randn_like(mixed) / self.embed_dims**0.5
        return F.normalize(mixed, dim=-1).to(self.embeddings)

    def phrases(self) -> tuple[Tensor, Tensor]:
        """Return every phrase by itself: unit embeddings (P, D), and the concepts they belong to, (P,)."""
        if self._phrases is None:
            owner = {phrase: place for place, concept in enumerate(self.vocabulary) for phrase in concept.phrases}
            encoded = self.encoder.encode_vocabulary(Vocabulary(Concept(phrase) for phrase in owner))
            self._phrases = encoded, torch.tensor(list(owner.values()))
        return self._phrases

    def _encode(self) -> None:
        """Fill the buffer, asking the encoder only for words that are not known yet."""
        known = self._known_rows()
        if new := [concept for concept in self.vocabulary if _spelled(concept.phrases) not in known]:
            fingerprint = self.encoder.fingerprint()
            self._check_encoder(fingerprint)
            encoded = self.encoder.encode_vocabulary(Vocabulary(new), by_template=self.by_template)
            self._check_dims(encoded)
            self.encoder_id.copy_(torch.tensor(list(bytes.fromhex(fingerprint)), dtype=torch.uint8))
            if self.prompt_smoothing is not None and self.taxonomy_bank is not None:
                phrases, owner = self.taxonomy_bank.phrases()
                meanings = self.taxonomy_bank().float().cpu()[owner]
                encoded = smooth_prompts(
                    encoded.float().cpu(), phrases.float().cpu(), meanings, **self.prompt_smoothing
                )
            known.update(zip((_spelled(concept.phrases) for concept in new), encoded, strict=True))
        rows = torch.stack([known[_spelled(concept.phrases)] for concept in self.vocabulary])
        self.embeddings = rows.to(self.embeddings)
        self._encoded = True

    def _known_rows(self) -> dict[tuple[str, ...], Tensor]:
        """Return what is known of the words of the vocabulary, on the CPU."""
        taxonomy_bank = {} if self.taxonomy_bank is None else self.taxonomy_bank.rows()
        known = {}
        for words in (_spelled(concept.phrases) for concept in self.vocabulary):
            source = next((rows for rows in (taxonomy_bank, self._kept, self._recent) if words in rows), None)
            if source is not None:
                known[words] = source[words]
        return known

    def rows(self) -> dict[tuple[str, ...], Tensor]:
        """Return the embeddings, on the CPU, by the words they belong to."""
        embeddings = self().detach().float().cpu()
        return dict(zip((_spelled(concept.phrases) for concept in self.vocabulary), embeddings, strict=True))

    def _remember(self) -> None:
        """Know the words of the vocabulary when it has changed."""
        if self.encoded:
            self._know(self.rows(), keep=self._from_checkpoint)

    def _know(self, rows: dict[tuple[str, ...], Tensor], *, keep: bool) -> None:
        # Copies: a row of a larger tensor keeps the whole of it, and changes with it.
        copies = {words: row.clone() for words, row in rows.items() if keep or words not in self._kept}
        (self._kept if keep else self._recent).update(copies)

    def _check_encoder(self, fingerprint: str) -> None:
        trained = self.fingerprint
        if trained is not None and trained != fingerprint:
            raise RuntimeError(
                f'the weights were trained with another text encoder (fingerprint {trained[:12]}) than '
                f'{self.encoder!r} of the config (fingerprint {fingerprint[:12]}): name the encoder of the training'
            )

    def _check_templates(self, templates: list[str] | None, encoder_id: Tensor) -> None:
        """Refuse embeddings that other templates have made; a tower that is trained makes them anew."""
        if encoder_id.any() and templates is not None and templates != list(self.encoder.templates):
            raise RuntimeError(
                f'the weights were trained with the templates {templates}, the config has '
                f'{list(self.encoder.templates)}: name those of the training'
            )

    def get_extra_state(self) -> Tensor:
        """Words of the embeddings and templates as JSON in a byte tensor, which every checkpoint format holds."""
        words = [list(concept.phrases) for concept in self.vocabulary]
        saved = dict(words=words, templates=list(self.encoder.templates))
        return torch.frombuffer(bytearray(json.dumps(saved).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Nothing is left to do: :meth:`_load_from_state_dict` has read it, before the buffer."""

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        self._encoded = False  # decided anew by what is read
        own, extra = True, state_dict.get(f'{prefix}_extra_state')
        if extra is not None:
            saved = json.loads(bytes(extra.cpu().tolist()))
            saved = saved if isinstance(saved, dict) else dict(words=saved)  # as written before templates were
            self._check_templates(saved.get('templates'), state_dict[f'{prefix}encoder_id'])
            own = self._take(saved['words'], state_dict, prefix)
        if own and f'{prefix}embeddings' in state_dict:
            self._from_checkpoint = bool(state_dict[f'{prefix}embeddings'].any())
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _take(self, saved: list[list[str]], state_dict: dict, prefix: str) -> bool:
        """Take the words of a checkpoint: as the own ones where they are the same, which is returned, or for later."""
        trained = bytes(state_dict[f'{prefix}encoder_id'].tolist())
        if self.encoded and any(trained):
            self._check_encoder(trained.hex())
        embeddings = state_dict[f'{prefix}embeddings']
        words = [_spelled(phrases) for phrases in saved]
        if words == [_spelled(concept.phrases) for concept in self.vocabulary]:
            return True
        warnings.warn(
            f'the checkpoint was trained to name {[phrases[0] for phrases in saved]}; '
            f'it is used to name {list(self.vocabulary.names)}',
            stacklevel=2,
        )
        if embeddings.any():
            self._know(dict(zip(words, embeddings.float().cpu(), strict=True)), keep=True)
        state_dict[f'{prefix}embeddings'] = self.embeddings
        return False


def smooth_prompts(
    embeddings: Tensor, phrases: Tensor, meanings: Tensor, *, weight: float = 4.0, temperature: float = 0.03
) -> Tensor:
    r"""Move embeddings of new words towards those of the concepts whose phrases are nearest in meaning.

    A head has learned where a few concepts lie among all that text can say; between them it has seen nothing. With
    :math:`m = \sum_p \operatorname{softmax}_p(\langle t, t_p\rangle / \tau)\, c_p` the result is
    :math:`t + w\, m / |m|`, made a unit vector: a Nadaraya-Watson mean that keeps a share of the words themselves.

    Args:
        embeddings: Of new words, unit vectors t, (K, D).
        phrases: Of known phrases, unit vectors t_p, (P, D).
        meanings: Of the concepts that they stand for, unit vectors c_p, (P, D).
        weight: w; 0 leaves the embeddings as they are.
        temperature: tau, in units of the cosine.

    Returns:
        Unit vectors, (K, D).
    """
    shares = (embeddings @ phrases.t() / temperature).softmax(1)
    return F.normalize(embeddings + weight * F.normalize(shares @ meanings, dim=-1), dim=-1)


def check_enough(vocabulary: Vocabulary) -> None:
    """Raise ``ValueError`` if there is nothing to tell apart."""
    if len(vocabulary) < 2:
        raise ValueError(
            f'a pixel is told apart by at least two prompts, got {list(vocabulary.names)}: add what it is not, '
            'for example "clear sky"'
        )


def _spelled(phrases: Sequence[str]) -> tuple[str, ...]:
    """Phrases without regard to letter case and order, by which embeddings are known again."""
    return tuple(sorted(' '.join(phrase.casefold().split()) for phrase in phrases))
