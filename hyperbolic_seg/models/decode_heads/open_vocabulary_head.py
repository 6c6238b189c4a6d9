"""Base of the heads that classify by words: vocabulary, text embeddings, taxonomy and losses."""

import copy
import itertools
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.geometry import safe_norm
from hyperbolic_seg.models.losses import HierarchicalCrossEntropyLoss
from hyperbolic_seg.options import check_options, check_whole
from hyperbolic_seg.text import (
    Concept,
    Expansion,
    Taxonomy,
    TextBank,
    TrainedTextBank,
    Vocabulary,
    check_enough,
    in_edition,
    in_names_of,
    kinds,
    kinds_below,
    normalize_phrase,
    smooth_prompts,
    with_later_words,
)

QUERIES = ('concept', 'phrase')


class DenseLogits(NamedTuple):
    """Logits of words that are computed when they are asked for, some rows and some concepts at a time."""

    of_rows: Callable[[slice], Callable[[int, int], Tensor]]
    """Returns for rows a function of ``start`` and ``stop``, which returns the logits of the words of these concepts in
    the rows, (N, W', rows, W)."""
    size: tuple[int, int]
    """Height and width of the logits."""
    radius: Tensor
    """Hyperbolic radius of every pixel, (N, 1, h, w)."""


class OpenVocabularyHead(BaseDecodeHead):
    """A decode head whose classes are words that can be changed.

    A head declares what it can do by :attr:`has_radius`, :attr:`multilabel`, :attr:`vocabulary`, :attr:`taxonomy`,
    :attr:`kinds`, :attr:`owners`, :attr:`gathers_last`, :meth:`gather`, :meth:`rows_of`, :meth:`text_embeddings` and
    :meth:`without_text`. Segmentor and export ask for these alone.

    Args:
        vocabulary: What the head is trained to name: a built-in vocabulary, a YAML file or a list of prompts.
        text_encoder: Config of the text encoder, such as :class:`OpenCLIPTextEncoder`.
        text_dims: D, the size of its embeddings (384 for the offline tower, 512 for ViT-B CLIP).
        taxonomy: A tree of concepts, a built-in vocabulary or a YAML file. A concept that is an inner node of it is
            then as probable as all its leaves together, or as the most probable of them if the loss gives every class
            a probability of its own or ``queries`` is ``'phrase'``. A checkpoint carries the embeddings of all its
            nodes; single phrases (``queries='phrase'``) are not among them, and need the text encoder. ``None``
            takes every concept by itself.
        known_words: A vocabulary that completes prompts given as a list: a prompt that is a name, synonym or
            abbreviation in it brings its synonyms and its place in the hierarchy along. ``None`` takes prompts as they
            are typed. A taxonomy does so by itself; beside one, this is a later edition of it, in which leaves are
            divided, and what it has below a leaf counts as that leaf, see :func:`~hyperbolic_seg.text.in_edition`.
        queries: ``'concept'`` compares a pixel with the mean of a concept's phrases; ``'phrase'`` makes every phrase a
            query of its own, among all of which the probability is shared, and the most similar one decides. As
            in the released code of training-free methods (SCLIP, ClearCLIP, NACLIP, ProxyCLIP), where a background is a
            list such as sky, wall, tree.
        text_losses: Configs of losses on the tuned embeddings of the taxonomy's nodes, such as
            :class:`TextEntailmentLoss` and :class:`TextRadiusLoss`; they get the taxonomy of the head.
        attributes: The head tells the attributes of the taxonomy, such as how thick a cloud is: prompts may name them
            ("thin cirrus"). Otherwise a prompt with such an adjective is taken as it is typed.
        prompt_smoothing: Options of :func:`~hyperbolic_seg.text.text_bank.smooth_prompts`, by which prompts that are
            not in the taxonomy are moved towards those that are; ``None`` takes them as they are encoded. For
            ``queries='concept'`` alone.
        tuner: Options of :class:`RadiusTuner`, or ``None`` to leave the text as it is.
        by_template: Keep the embeddings of every prompt template, and not their mean.
        num_classes: Follows the vocabulary.
        **kwargs: As for :class:`mmseg.models.decode_heads.decode_head.BaseDecodeHead`.

    Raises:
        ValueError: ``num_classes`` does not fit, an option needs a taxonomy and there is none, ``known_words`` adds
            nothing to the taxonomy, or ``prompt_smoothing`` is given beside ``queries='phrase'``.
    """

    has_radius: bool = True
    """:meth:`forward_with_radius` returns a hyperbolic radius beside the logits."""
    _text_modules: frozenset[str] = frozenset(('text', 'tuner', 'text_losses', 'loss_decode'))
    """Modules that :meth:`forward_with_radius` does not need once the words are given."""

    def __init__(
        self,
        vocabulary: str | Sequence[str],
        text_encoder: dict[str, Any],
        text_dims: int,
        *,
        taxonomy: str | None = None,
        known_words: str | None = None,
        queries: str = 'concept',
        text_losses: Sequence[dict[str, Any]] = (),
        attributes: bool = False,
        prompt_smoothing: dict[str, Any] | None = None,
        tuner: dict[str, Any] | None = None,
        by_template: bool = False,
        num_classes: int | None = None,
        **kwargs: Any,
    ) -> None:
        tree = None if taxonomy is None else Taxonomy.load(taxonomy)
        later = None if known_words is None else Vocabulary.load(known_words)
        known = later if tree is None else tree.nodes if later is None else with_later_words(tree, later)
        if known is not None and not attributes:
            known = known.without_attributes()
        if text_losses and tree is None:
            raise ValueError('text_losses are on the nodes of a taxonomy: set taxonomy of the head, or leave them out')
        if queries not in QUERIES:
            raise ValueError(f'queries={queries!r}: expected one of {QUERIES}')
        if queries == 'phrase' and prompt_smoothing is not None:
            raise ValueError(
                "prompt_smoothing beside queries='phrase': it would move phrases of the taxonomy's own nodes too; "
                "leave it out, or set queries='concept'"
            )
        check_whole('text_dims', text_dims)
        check_options('prompt_smoothing', prompt_smoothing, smooth_prompts)
        concepts = Vocabulary.load(vocabulary, known=known)
        count = len(concepts)
        if num_classes not in (None, count):
            raise ValueError(
                f'num_classes={num_classes}, but the vocabulary names {count} concepts: '
                'leave num_classes out, it follows the vocabulary'
            )
        meanings = _meanings(concepts, tree, later)
        expansion = _expanded(meanings, tree, queries)
        bank = _text_bank(
            text_encoder, expansion.words, tree, prompt_smoothing, embed_dims=text_dims, by_template=by_template
        )
        kwargs.setdefault('init_cfg', None)
        super().__init__(num_classes=count, out_channels=count, **kwargs)
        del self.conv_seg  # The text takes its place.
        self.queries, self.attributes = queries, attributes
        self.text, self.taxonomy, self._known_words, self._later_words = bank, tree, known, later
        self._vocabulary, self._meanings, self._expansion = concepts, meanings, expansion
        self._placed: Vocabulary | None = None
        losses = self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]
        self.multilabel: bool = any(getattr(loss, 'use_sigmoid', False) for loss in losses)
        """Each concept has a probability of its own (``use_sigmoid=True``), and not a share of one among all."""
        self.text_losses = nn.ModuleList(MODELS.build(dict(loss, taxonomy=tree)) for loss in text_losses)
        self.tuner = (
            MODELS.build(dict(type='RadiusTuner', embed_dims=text_dims, **tuner)) if tuner is not None else None
        )

    def init_weights(self) -> None:
        """Initialize, and encode the vocabulary, so that a missing encoder is noticed before the training."""
        super().init_weights()  # This encodes the text too.
        if not self.text.encoded:  # MMEngine initializes a module once, and the words have been changed since.
            self.text.init_weights()

    @property
    def vocabulary(self) -> Vocabulary:
        """What the head names now."""
        return self._vocabulary

    @property
    def meanings(self) -> Vocabulary:
        """What every concept of the vocabulary counts as in the taxonomy, by which the head was trained."""
        return self._meanings

    @property
    def expansion(self) -> Expansion:
        """The words of the vocabulary, with leaves for inner nodes, and the concept that each belongs to."""
        return self._expansion

    @property
    def later_words(self) -> Vocabulary | None:
        """Words of a later edition of the taxonomy, or without one those that complete prompts; see ``known_words``."""
        return self._later_words

    @property
    def kinds(self) -> list[int]:
        """Number of the kind of every concept; see :func:`~hyperbolic_seg.text.kinds`.

        A prompt outside the taxonomy, but for banks that do not smooth prompts, is of the kind that it is read as:
        "puffy white heaps" is a cloud, and has no colors of its own beside those of other clouds.
        """
        return kinds(self.placed, None if self.taxonomy is None else self.taxonomy.root)

    def kinds_below(self, nodes: Sequence[str]) -> tuple[bool, ...]:
        """Return for every kind of :attr:`kinds` whether it is one of some nodes of the taxonomy, or lies below one.

        Raises:
            ValueError: A name is no node.
        """
        self.check_nodes(nodes)
        return tuple(kinds_below(nodes, self.placed, self.kinds))

    def check_nodes(self, names: Sequence[str]) -> None:
        """Check that names are nodes of the taxonomy.

        Raises:
            ValueError: One is not, or the head has no taxonomy.
        """
        if self.taxonomy is None and names:
            raise ValueError(
                f'{list(names)} are nodes of a taxonomy, and the head has none: set taxonomy, or leave it out'
            )
        known = () if self.taxonomy is None else self.taxonomy.nodes.names
        if strange := sorted(set(names) - set(known)):
            raise ValueError(f'{strange} are no nodes of the taxonomy of the head: expected some of {list(known)}')

    @property
    def placed(self) -> Vocabulary:
        """The vocabulary with prompts outside the taxonomy below the kinds that they are read as."""
        if self._placed is None:
            self._placed = self._place()
        return self._placed

    def _place(self) -> Vocabulary:
        tree, bank = self.taxonomy, self.text
        if tree is None:
            return self.vocabulary
        named = in_names_of(tree, self.vocabulary)
        if not isinstance(bank, TextBank):
            return named
        concepts = list(named)
        outside = [row for row, meaning in enumerate(self.meanings) if tree.nodes.nearest(meaning) is None]
        scores = bank.read([concepts[row] for row in outside]) if outside else None
        if scores is None:
            return named
        below = [index for index, node in enumerate(tree.nodes) if node.ancestors]  # without the root
        for row, best in zip(outside, scores[:, below].argmax(1).tolist(), strict=True):
            kind = tree.nodes[below[best]].lineage[-2]
            concepts[row] = replace(concepts[row], ancestors=(kind, tree.root))
        return Vocabulary(concepts)

    @property
    def gathers_last(self) -> bool:
        """True if words are gathered after windows are averaged and resized: then the most similar word decides."""
        return self.multilabel or self.queries == 'phrase'

    @property
    def owners(self) -> tuple[int, ...]:
        """The concept of every query if queries share one probability among all of them; otherwise empty."""
        return tuple(self._expansion.owners) if self.queries == 'phrase' and not self.multilabel else ()

    def set_vocabulary(self, prompts: str | Sequence[str] | Vocabulary) -> None:
        """Name other things from now on, without training.

        Args:
            prompts: A list of prompts, which the taxonomy or ``known_words`` completes, a built-in vocabulary or a YAML
                file; see :meth:`Vocabulary.load`.

        Raises:
            ValueError: Two prompts are the same to the head, or there are fewer than two.
        """
        concepts = Vocabulary.load(prompts, known=self._known_words)
        meanings = _meanings(concepts, self.taxonomy, self._later_words)
        expansion = _expanded(meanings, self.taxonomy, self.queries)
        if any(expansion.values) and not self.attributes:
            raise ValueError(
                f'{[c.name for c in concepts if c.values]} name attributes such as thickness, which this model does '
                'not tell: name the concepts without them'
            )
        self.text.set_vocabulary(expansion.words)
        self._vocabulary, self._meanings, self._expansion, self._placed = concepts, meanings, expansion, None
        self.num_classes = self.out_channels = len(concepts)

    def text_embeddings(self) -> Tensor:
        """Return the tuned embeddings of the words, (W, D) or by template (W, P, D), with leaves for inner nodes."""
        return self._tuned(self.text())

    def without_text(self) -> 'OpenVocabularyHead':
        """Return a copy for :meth:`forward_with_radius` with given words, sharing weights, but without text and losses.

        The export puts it beside :meth:`text_embeddings`, which are constants then: no text bank, encoder or tuner is
        left.
        """
        light = copy.copy(self)
        light._modules = {name: module for name, module in self._modules.items() if name not in self._text_modules}
        return light

    def _tuned(self, embeddings: Tensor) -> Tensor:
        return embeddings if self.tuner is None else self.tuner(embeddings)

    @property
    def curvature_of_words(self) -> Tensor | None:
        """The curvature of the space of the words; ``None`` if it is flat."""
        return None

    @torch.no_grad()
    def text_radius(self) -> dict[str, float]:
        """Return the hyperbolic radius of every word after tuning, the mean over templates; before tuning it is 2."""
        radius = 2 * safe_norm(self.text_embeddings()).reshape(len(self.text.vocabulary), -1).mean(1)
        return dict(zip(self.text.vocabulary.names, radius.tolist(), strict=True))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return logits (N, K, H, W) for the feature maps of the encoder."""
        return self.gather(self.forward_with_radius(inputs)[0])

    def forward_with_radius(self, inputs: Sequence[Tensor], words: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits of words (N, W, H, W) and the hyperbolic radius of every pixel, (N, 1, H, W).

        :meth:`gather` makes logits of concepts from them.

        Args:
            inputs: The feature maps of the encoder.
            words: Tuned embeddings to classify by, instead of :meth:`text_embeddings`.
        """
        raise NotImplementedError

    def forward_in_bands(self, inputs: Sequence[Tensor]) -> DenseLogits:
        """Return logits of words to be computed for some rows of the maps and some concepts at a time.

        Args:
            inputs: The feature maps of the encoder.
        """
        logits, radius = self.forward_with_radius(inputs)

        def of_rows(rows: slice) -> Callable[[int, int], Tensor]:
            return lambda start, stop: logits[:, self._words_of(start, stop), rows]

        return DenseLogits(of_rows, (logits.shape[2], logits.shape[3]), radius)

    def forward_in_parts(self, inputs: Sequence[Tensor]) -> tuple[Callable[[int, int], Tensor], Tensor]:
        """Return a function that computes the logits of the words of some concepts, and the radius, (N, 1, H, W).

        Args:
            inputs: The feature maps of the encoder.

        Returns:
            A function of ``start`` and ``stop`` that returns the logits of the words of the concepts from ``start`` up
            to, but without, ``stop``, (N, W', H, W); and the radius.
        """
        dense = self.forward_in_bands(inputs)
        return dense.of_rows(slice(None)), dense.radius

    def gather(self, logits: Tensor, start: int = 0, stop: int | None = None, *, dim: int = 1) -> Tensor:
        """Return logits of concepts for logits of their words.

        If one class among all is at a pixel, the probabilities of the words of a concept add up. If each may be there
        (:attr:`multilabel`), or every phrase is a query, the most probable word decides, as the protocols of open
        vocabularies have it. Then words are gathered last (:attr:`gathers_last`), after windows are averaged and
        resized: the largest of several averages is not the average of the largest.

        Args:
            logits: Logits of the words of the concepts from ``start`` up to ``stop``, such as (N, W', H, W).
            start: First concept.
            stop: The concept after the last one; ``None`` for all.
            dim: Dimension of the words.
        """
        counts = Counter(self._expansion.owners[self._words_of(start, stop)])
        if set(counts.values()) == {1}:
            return logits
        together = torch.amax if self.gathers_last else torch.logsumexp
        return torch.stack([together(words, dim) for words in logits.split(list(counts.values()), dim)], dim)

    def rows_of(self, start: int, stop: int | None) -> slice:
        """Return which logits are averaged for the concepts from ``start`` up to ``stop``: of words, or their own."""
        return self._words_of(start, stop) if self.gathers_last else slice(start, stop)

    def _words_of(self, start: int, stop: int | None) -> slice:
        """Return where the words of the concepts from ``start`` up to ``stop`` are, one concept after the other."""
        last = len(self._vocabulary) if stop is None else stop
        return slice(bisect_left(self._expansion.owners, start), bisect_left(self._expansion.owners, last))

    def sample_text_embeddings(self) -> Tensor | None:
        """Return tuned embeddings for one step of training; ``None`` stands for :meth:`text_embeddings`."""
        return None

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list[Any], train_cfg: Any) -> dict[str, Any]:
        """Return the losses, and for the log the mean radius of text and pixels and the curvature."""
        words = self.sample_text_embeddings()
        logits, radius = self.forward_with_radius(inputs, words)
        return self.losses_of(logits, radius, words, batch_data_samples)

    def losses_of(
        self, logits: Tensor, radius: Tensor, words: Tensor | None, batch_data_samples: list[Any]
    ) -> dict[str, Any]:
        """Return the losses of the logits and of the text, with the figures for the log.

        Args:
            logits: Logits of words, (N, W, H, W), from :meth:`forward_with_radius`.
            radius: Hyperbolic radius of every pixel, (N, 1, H, W).
            words: The embeddings that were classified by; ``None`` for :meth:`text_embeddings`.
            batch_data_samples: Labels of the images.
        """
        losses = self.loss_by_feat(self.gather(logits), batch_data_samples) | self._losses_on_text()
        with torch.no_grad():
            losses['radius_text'] = 2 * safe_norm(self.text_embeddings() if words is None else words).mean()
            losses['radius_pixel'] = radius.mean()
            if self.curvature_of_words is not None:
                losses['curvature'] = self.curvature_of_words.clone()
        return losses

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list[Any]) -> dict[str, Any]:
        """Return the losses of the logits, and the accuracy that a hierarchical loss defines for its labels."""
        losses: dict[str, Any] = super().loss_by_feat(seg_logits, batch_data_samples)
        if isinstance(self.loss_decode, HierarchicalCrossEntropyLoss):
            label = self._stack_batch_gt(batch_data_samples).float()
            label = F.interpolate(label, size=seg_logits.shape[2:], mode='nearest').squeeze(1).long()
            losses['acc_seg'] = self.loss_decode.accuracy(seg_logits, label, self.ignore_index)
        return losses

    def _losses_on_text(self) -> dict[str, Tensor]:
        if not self.text_losses or self.text.taxonomy_bank is None:
            return {}
        nodes = self._tuned(self.text.taxonomy_bank())
        nodes = nodes.mean(1) if nodes.ndim == 3 else nodes  # over templates
        return {str(loss.loss_name): loss(nodes, self.curvature_of_words) for loss in self.text_losses}


def _meanings(concepts: Vocabulary, taxonomy: Taxonomy | None, later: Vocabulary | None) -> Vocabulary:
    return concepts if taxonomy is None or later is None else in_edition(concepts, taxonomy, later)


def _text_bank(
    text_encoder: dict[str, Any],
    words: Vocabulary,
    taxonomy: Taxonomy | None,
    prompt_smoothing: dict[str, Any] | None,
    *,
    embed_dims: int,
    by_template: bool,
) -> TextBank | TrainedTextBank:
    """Build the text encoder with the bank of its embeddings.

    Raises:
        ValueError: ``prompt_smoothing`` has no taxonomy, or the encoder trains.
    """
    if prompt_smoothing is not None and taxonomy is None:
        raise ValueError(
            'prompt_smoothing moves prompts towards the words of a taxonomy: set taxonomy of the head, or leave it out'
        )
    encoder = MODELS.build(text_encoder)
    options: dict[str, Any] = dict(
        embed_dims=embed_dims, taxonomy_bank=None if taxonomy is None else taxonomy.nodes, by_template=by_template
    )
    if not encoder.trained:
        return TextBank(encoder, words, prompt_smoothing=prompt_smoothing, **options)
    if prompt_smoothing is not None:
        raise ValueError('prompt_smoothing is for a frozen text encoder: leave it out, or train no part of the encoder')
    return TrainedTextBank(encoder, words, **options)


def _expanded(vocabulary: Vocabulary, taxonomy: Taxonomy | None, queries: str) -> Expansion:
    """Return the words to compute logits of, with the concept that each belongs to."""
    check_enough(vocabulary)
    expansion = Expansion.of(vocabulary) if taxonomy is None else taxonomy.expand(vocabulary)
    if queries == 'concept':
        return expansion
    split = [_split(word) for word in expansion.words]
    owners = [owner for owner, parts in zip(expansion.owners, split, strict=True) for _ in parts]
    return Expansion.of(Vocabulary(itertools.chain(*split)))._replace(owners=owners)


def _split(concept: Concept) -> list[Concept]:
    """Return a concept for every phrase of one. Two concepts may share a phrase, so its name says whose it is."""
    phrases = {normalize_phrase(phrase): phrase for phrase in concept.phrases}
    if len(phrases) == 1:
        return [concept]
    return [Concept(f'{concept.name}: {phrase}', prompt=phrase) for phrase in phrases.values()]
