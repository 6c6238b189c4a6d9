"""Text bank of a frozen encoder: embeddings are computed once, cached, and restored from checkpoints."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from cachetools import LRUCache
from torch import Tensor

from hyperbolic_seg.text.base_text_bank import BaseTextBank, Phrases
from hyperbolic_seg.text.encoder import OpenCLIPTextEncoder
from hyperbolic_seg.text.reading import PhraseReader
from hyperbolic_seg.text.vocabulary import Concept, Vocabulary, check_enough


class TextBank(BaseTextBank):
    """Text embeddings of a frozen encoder.

    A checkpoint holds the embeddings with their phrases and the fingerprint of their encoder. A model therefore
    predicts its own vocabulary without any text encoder, and no other encoder can add words to it. Embeddings from
    checkpoints are kept as long as the bank exists, embeddings encoded since then as long as there is room.

    Args:
        encoder: Text encoder.
        vocabulary: Argument of :meth:`Vocabulary.load`.
        embed_dims: D, the size of an embedding.
        taxonomy_bank: Vocabulary whose embeddings are saved too, such as the nodes of a taxonomy. Its words then need
            no text encoder.
        prompt_smoothing: Options of :func:`smooth_prompts`, which moves words that ``taxonomy_bank`` lacks towards
            those it has; ``None`` leaves them as they are encoded.
        by_template: Keep one embedding per template instead of the mean over templates.
        remembered: Number of embeddings of former vocabularies to keep, 4 D bytes each. The least recently used ones
            are dropped, and encoded again on demand.

    Raises:
        ValueError: The vocabulary has fewer than two concepts, ``remembered`` is less than one, or
            ``prompt_smoothing`` is combined with ``by_template``.
    """

    taxonomy_bank: 'TextBank | None'

    def __init__(
        self,
        encoder: OpenCLIPTextEncoder,
        vocabulary: Any,
        *,
        embed_dims: int,
        taxonomy_bank: Any = None,
        prompt_smoothing: dict[str, Any] | None = None,
        by_template: bool = False,
        remembered: int = 2**14,
    ) -> None:
        if remembered < 1:
            raise ValueError(f'remembered={remembered}: expected at least 1')
        if prompt_smoothing is not None and by_template:
            raise ValueError(
                'prompt_smoothing works on means over templates, by_template keeps templates apart: leave one out'
            )
        super().__init__(encoder, vocabulary, embed_dims=embed_dims, by_template=by_template)
        self.prompt_smoothing = prompt_smoothing
        self._from_checkpoint = False
        self._kept: dict[Phrases, Tensor] = {}  # from checkpoints, and maybe the only copies
        embeddings_of_each = len(encoder.templates) if by_template else 1
        self._recent: LRUCache[Phrases, Tensor] = LRUCache(max(1, remembered // embeddings_of_each))
        self._phrases: tuple[Tensor, Tensor] | None = None
        self._reader: PhraseReader | None = None
        if taxonomy_bank is not None:
            self.taxonomy_bank = TextBank(encoder, taxonomy_bank, embed_dims=embed_dims, by_template=by_template)

    def set_vocabulary(self, vocabulary: Any) -> None:
        """Replace the vocabulary; only words that the bank does not hold are encoded, on next use.

        Raises:
            ValueError: There are fewer than two concepts.
        """
        loaded = Vocabulary.load(vocabulary)
        check_enough(loaded)
        if loaded == self.vocabulary:
            return
        if self.encoded:
            self._remember(self.embeddings_by_phrases(), keep=self._from_checkpoint)
        self._from_checkpoint, self._phrases = False, None
        super().set_vocabulary(loaded)

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the encoder of the embeddings, ``None`` while there are none."""
        digest = bytes(self.encoder_id.tolist())
        return digest.hex() if any(digest) else None

    @property
    def encoded(self) -> bool:
        """True once the words are encoded. Embeddings are unit vectors, so an all-zero buffer means not yet."""
        if not self._encoded:
            self._encoded = bool(self.embeddings.any())
        return self._encoded

    def forward(self) -> Tensor:
        """Return the embeddings, (K, D), by template (K, P, D); missing ones are encoded."""
        if not self.encoded:
            self._encode_missing()
        return self.embeddings

    def phrases(self) -> tuple[Tensor, Tensor]:
        """Return unit embeddings of single phrases, (P, D), and the index of the concept of every phrase, (P,)."""
        if self._phrases is None:
            self._phrases = super().phrases()
        return self._phrases

    def embeddings_by_phrases(self) -> dict[Phrases, Tensor]:
        """Return the embeddings, float32 on the CPU, by the normalized phrases of their concepts."""
        embeddings = self().detach().float().cpu()
        return dict(zip(self.phrases_by_concept(), embeddings, strict=True))

    def _encode_vocabulary(self, vocabulary: Vocabulary, *, by_template: bool = False) -> Tensor:
        return self.encoder.encode_vocabulary(vocabulary, by_template=by_template)

    def _encode_missing(self) -> None:
        """Fill the buffer; the encoder sees only words that the bank does not hold."""
        keys = self.phrases_by_concept()
        known = self._known_embeddings(keys)
        missing = {key: concept for key, concept in zip(keys, self.vocabulary, strict=True) if key not in known}
        if missing:
            fingerprint = self.encoder.fingerprint()
            self._check_encoder(fingerprint)
            new = self._encode_vocabulary(Vocabulary(missing.values()), by_template=self.by_template)
            new = self._smooth(self._check_dims(new), list(missing.values()))
            self.encoder_id.copy_(torch.tensor(list(bytes.fromhex(fingerprint)), dtype=torch.uint8))
            known.update(zip(missing, new, strict=True))
        self.embeddings = torch.stack([known[key] for key in keys]).to(self.embeddings)
        self._encoded = True

    def _smooth(self, embeddings: Tensor, concepts: Sequence[Concept]) -> Tensor:
        scores = self.read(concepts)
        if scores is None or self.taxonomy_bank is None:
            return embeddings
        known = self.taxonomy_bank().float().cpu()
        return smooth_prompts(embeddings.float().cpu(), scores, known, **self.prompt_smoothing or {})

    def read(self, concepts: Sequence[Concept]) -> Tensor | None:
        """Return a score of every node of the taxonomy for each of some new words, (K, C), on the CPU.

        ``None`` for a bank that does not smooth prompts, and so does not ask what they mean. Scores are those of
        :class:`~hyperbolic_seg.text.PhraseReader`.
        """
        if self.prompt_smoothing is None or self.taxonomy_bank is None:
            return None
        if self._reader is None:
            self._reader = PhraseReader(self.taxonomy_bank.vocabulary, self.encoder)
        return self._reader.scores(concepts)

    def _known_embeddings(self, keys: list[Phrases]) -> dict[Phrases, Tensor]:
        """Return the embeddings that the bank holds, on the CPU."""
        of_taxonomy = {} if self.taxonomy_bank is None else self.taxonomy_bank.embeddings_by_phrases()
        known = {}
        for key in keys:
            source = next((held for held in (of_taxonomy, self._kept, self._recent) if key in held), None)
            if source is not None:
                known[key] = source[key]
        return known

    def _remember(self, embeddings: dict[Phrases, Tensor], *, keep: bool) -> None:
        # Copies: a row of a larger tensor keeps all of it in memory, and changes with it.
        copies = {key: row.clone() for key, row in embeddings.items() if keep or key not in self._kept}
        (self._kept if keep else self._recent).update(copies)

    def _check_encoder(self, fingerprint: str) -> None:
        trained = self.fingerprint
        if trained is not None and trained != fingerprint:
            raise RuntimeError(
                f'the weights were trained with another text encoder (fingerprint {trained[:12]}) than '
                f'{self.encoder!r} of the config (fingerprint {fingerprint[:12]}): name the encoder of the training'
            )

    def _check_origin(self, templates: list[str] | None, encoder_id: Tensor) -> None:
        if not encoder_id.any():
            return
        if self.encoded:
            self._check_encoder(bytes(encoder_id.tolist()).hex())
        if templates is not None and templates != list(self.encoder.templates):
            raise RuntimeError(
                f'the weights were trained with the templates {templates}, the config has '
                f'{list(self.encoder.templates)}: name those of the training'
            )

    def _take_own(self, embeddings: Tensor) -> None:
        self._from_checkpoint = bool(embeddings.any())

    def _take_others(self, embeddings: dict[Phrases, Tensor]) -> None:
        if any(row.any() for row in embeddings.values()):
            self._remember(embeddings, keep=True)


def smooth_prompts(
    embeddings: Tensor, scores: Tensor, concepts: Tensor, *, weight: float = 4.0, temperature: float = 0.03
) -> Tensor:
    r"""Move embeddings of new words towards the concepts that they probably mean.

    A head is trained on a few concepts, and has seen nothing of the embeddings between them. With
    :math:`m = \sum_c \operatorname{softmax}_c(s_c / \tau)\, c` the result is :math:`t + w\, m / |m|`, scaled to unit
    length. It keeps a share of the new word.

    Args:
        embeddings: Unit embeddings t of new words, (K, D).
        scores: Scores s of the concepts for every new word, (K, C); see :class:`~hyperbolic_seg.text.PhraseReader`.
        concepts: Unit embeddings c of the concepts, (C, D).
        weight: w; 0 leaves the embeddings unchanged.
        temperature: tau, in units of the scores.

    Returns:
        Unit vectors, (K, D).
    """
    shares = (scores / temperature).softmax(1)
    return F.normalize(embeddings + weight * F.normalize(shares @ concepts, dim=-1), dim=-1)
