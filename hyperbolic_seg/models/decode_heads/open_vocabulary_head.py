"""What heads that classify by words have in common: words, their tuning, their tree, their losses."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from hyperbolic_seg.geometry import safe_norm
from hyperbolic_seg.models.losses import HierarchicalCrossEntropyLoss
from hyperbolic_seg.options import check_options, check_whole
from hyperbolic_seg.text import Taxonomy, Vocabulary
from hyperbolic_seg.text.text_bank import TextBank, check_enough, smooth_prompts
from hyperbolic_seg.text.trained_text_bank import TrainedTextBank


class OpenVocabularyHead(BaseDecodeHead):
    """A decode head whose classes are words that can be changed.

    Args:
        vocabulary: What the head is trained to name: a built-in vocabulary, a YAML file or a list of prompts.
        text_encoder: Config of the text encoder, such as :class:`OpenCLIPTextEncoder`.
        text_dims: D, the size of its embeddings (384 for the offline tower, 512 for ViT-B CLIP).
        taxonomy: A tree of words, a built-in vocabulary or a YAML file. A word that is an inner node of it is then
            as probable as all its leaves together, or as the most probable of them where the loss takes each by
            itself, and a checkpoint carries all its words; ``None`` takes every word by itself.
        text_losses: Configs of losses on the tuned embeddings of the taxonomy's nodes, such as
            :class:`TextEntailmentLoss` and :class:`TextRadiusLoss`.
        reading: Options of :func:`~hyperbolic_seg.text.text_bank.smooth_prompts`, by which prompts that
            are no words of the taxonomy are moved towards those that are; ``None`` takes them as they are encoded.
        tuner: Options of :class:`RadiusTuner`, or ``None`` to leave the text as it is.
        by_template: Keep the embeddings of every prompt template, and not their mean.
        num_classes: Follows the vocabulary.
        **kwargs: As for :class:`mmseg.models.decode_heads.decode_head.BaseDecodeHead`.

    Raises:
        ValueError: ``num_classes`` does not fit, or what needs a taxonomy has none.
    """

    def __init__(
        self,
        vocabulary: str | Sequence[str],
        text_encoder: dict,
        text_dims: int,
        *,
        taxonomy: str | None = None,
        text_losses: Sequence[dict] = (),
        prompt_smoothing: dict | None = None,
        tuner: dict | None = None,
        by_template: bool = False,
        num_classes: int | None = None,
        **kwargs: Any,
    ) -> None:
        tree = None if taxonomy is None else Taxonomy.load(taxonomy)
        if text_losses and tree is None:
            raise ValueError('text_losses are on the nodes of a taxonomy: give one, such as taxonomy="sky"')
        if prompt_smoothing is not None and tree is None:
            raise ValueError('reading is through the words of a taxonomy: give one, such as taxonomy="sky"')
        check_whole('text_dims', text_dims)
        check_options('prompt_smoothing', prompt_smoothing, smooth_prompts)
        asked = Vocabulary.load(vocabulary)
        words, places = _expanded(asked, tree)
        taxonomy_bank = None if tree is None else tree.nodes
        encoder = MODELS.build(text_encoder)
        options: dict[str, Any] = dict(embed_dims=text_dims, taxonomy_bank=taxonomy_bank, by_template=by_template)
        if not encoder.trained:
            bank = TextBank(encoder, words, prompt_smoothing=prompt_smoothing, **options)
        elif prompt_smoothing is None:
            bank = TrainedTextBank(encoder, words, **options)
        else:
            raise ValueError('reading is for a frozen text encoder: leave it out, or train no part of the encoder')
        count = len(asked)
        if num_classes not in (None, count):
            raise ValueError(
                f'num_classes={num_classes}, but the vocabulary names {count} concepts: '
                'leave num_classes out, it follows the vocabulary'
            )
        kwargs.setdefault('init_cfg', None)
        super().__init__(num_classes=count, out_channels=count, **kwargs)
        del self.conv_seg  # its place is taken by the text
        self.text, self.taxonomy, self._vocabulary, self._concept_of_word = bank, tree, asked, places
        self.text_losses = nn.ModuleList(MODELS.build(dict(loss, taxonomy=tree)) for loss in text_losses)
        self.tuner = (
            MODELS.build(dict(type='RadiusTuner', embed_dims=text_dims, **tuner)) if tuner is not None else None
        )

    def init_weights(self) -> None:
        """Initialise, and encode the vocabulary, so that a missing encoder is noticed before the training."""
        super().init_weights()  # of the text too
        if not self.text.encoded:  # a head that was initialised before, and has been changed
            self.text.init_weights()

    @property
    def vocabulary(self) -> Vocabulary:
        """What the head names now."""
        return self._vocabulary

    @property
    def multilabel(self) -> bool:
        """Whether the loss takes every word by itself (``use_sigmoid=True``), and not one among all."""
        losses = self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]
        return any(getattr(loss, 'use_sigmoid', False) for loss in losses)

    def set_vocabulary(self, prompts: str | Sequence[str] | Vocabulary) -> None:
        """Name other things from now on, without training.

        Args:
            prompts: A list of prompts, a built-in vocabulary or a YAML file; see :meth:`Vocabulary.load`.
        """
        asked = Vocabulary.load(prompts)
        words, places = _expanded(asked, self.taxonomy)
        self.text.set_vocabulary(words)
        self._vocabulary, self._concept_of_word = asked, places
        self.num_classes = self.out_channels = len(asked)

    def text_embeddings(self) -> Tensor:
        """Return the tuned embeddings of the vocabulary, (K, D), with leaves for inner nodes."""
        return self._tuned(self.text())

    def _tuned(self, embeddings: Tensor) -> Tensor:
        return embeddings if self.tuner is None else self.tuner(embeddings)

    @property
    def curvature_of_words(self) -> Tensor | None:
        """The curvature of the space of the words, ``None`` for a flat one."""
        return None

    @torch.no_grad()
    def text_radius(self) -> dict[str, float]:
        """Return the hyperbolic radius of every word after tuning, the mean over templates; before it, all are at 2."""
        radius = 2 * safe_norm(self.text_embeddings()).reshape(len(self.text.vocabulary), -1).mean(1)
        return dict(zip(self.text.vocabulary.names, radius.tolist(), strict=True))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return logits (N, K, H, W) for the feature maps of the encoder."""
        return self.forward_with_radius(inputs)[0]

    def forward_with_radius(self, inputs: Sequence[Tensor], words: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return logits (N, K, H, W) and the hyperbolic radius of every place, (N, 1, H, W).

        Args:
            inputs: The feature maps of the encoder.
            words: Tuned embeddings to classify by in the place of :meth:`text_embeddings`.
        """
        raise NotImplementedError

    def forward_in_parts(self, inputs: Sequence[Tensor]) -> tuple[Callable[[int, int], Tensor], Tensor]:
        """Return what gives the logits of some concepts, and the radius, (N, 1, H, W).

        Args:
            inputs: The feature maps of the encoder.

        Returns:
            A function of the first concept and of the one after the last that gives their logits, (N, K', H, W).
        """
        logits, radius = self.forward_with_radius(inputs)
        return lambda start, stop: logits[:, start:stop], radius

    def _gathered(self, logits: Tensor, places: Sequence[int] | None = None) -> Tensor:
        """Give every concept the probability of its words together.

        Words of which one at a time is at a place add up; of words that each may be there or not
        (:attr:`multilabel`), the most probable speaks, as the protocols of open vocabularies have it.

        Args:
            logits: Of words, (N, W, H, W).
            places: The concept of every word; by default of all words.
        """
        places = self._concept_of_word if places is None else places
        concepts = sorted(set(places))
        if len(places) == len(concepts):
            return logits
        parts = [[i for i, place in enumerate(places) if place == concept] for concept in concepts]
        together = torch.amax if self.multilabel else torch.logsumexp
        return torch.stack([together(logits[:, part], 1) for part in parts], 1)

    def sample_text_embeddings(self) -> Tensor | None:
        """Return tuned embeddings for a step of training, ``None`` for :meth:`text_embeddings`."""
        return None

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list, train_cfg: Any) -> dict:
        """Return the losses, and for the log: mean radius of text and places, curvature."""
        words = self.sample_text_embeddings()
        logits, radius = self.forward_with_radius(inputs, words)
        losses = self.loss_by_feat(logits, batch_data_samples) | self._losses_on_text()
        with torch.no_grad():
            losses['radius_text'] = 2 * safe_norm(self.text_embeddings() if words is None else words).mean()
            losses['radius_pixel'] = radius.mean()
            if self.curvature_of_words is not None:
                losses['curvature'] = self.curvature_of_words.clone()
        return losses

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list) -> dict:
        """Return the losses of the logits, with the accuracy that the loss itself speaks of if it does."""
        losses = super().loss_by_feat(seg_logits, batch_data_samples)
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


def _expanded(vocabulary: Vocabulary, taxonomy: Taxonomy | None) -> tuple[Vocabulary, list[int]]:
    """Return the words to compute logits of, and the concept that each belongs to."""
    check_enough(vocabulary)
    return (vocabulary, list(range(len(vocabulary)))) if taxonomy is None else taxonomy.expand(vocabulary)
