"""Text encoder on open_clip: frozen, with embeddings cached on disk, or trained with the model."""

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hyperbolic_seg.files import sha256_of
from hyperbolic_seg.geometry.numeric import full_precision
from hyperbolic_seg.text.cache import EmbeddingCache, default_cache_dir
from hyperbolic_seg.text.minilm import (
    OFFLINE,
    SHA256,
    build_offline_tower,
    check_offline_weights,
    encode_offline,
    has_offline_weights,
    load_offline_tower,
    offline_tokenizer,
    offline_weights,
)
from hyperbolic_seg.text.open_clip import (
    check_source,
    load_open_clip,
    load_tokenizer,
    tokenize,
    uses_quick_gelu,
    weights_file,
)
from hyperbolic_seg.text.tower import TextTower
from hyperbolic_seg.text.vocabulary import Vocabulary

TEMPLATES = ('{}', 'a photo of {}')
"""Default templates. They fit any noun, countable or not ("grass", "cars", "liver"); "a photo of a {}" does not."""
_BATCH = 64


class OpenCLIPTextEncoder:
    """Encodes phrases with the text tower of any open_clip model, loaded on first use.

    The tower is frozen and its embeddings are cached on disk, unless ``trainable`` or ``adapter`` is given. Then the
    head owns the tower as a :class:`TextTower`, which is trained and saved with the rest of the model.

    Args:
        model: Model name of open_clip such as ``'ViT-B-16'``, with or without the schema ``'hf-hub:'`` or
            ``'local-dir:'``; or ``'offline'``, the all-MiniLM-L6-v2 tower, which needs no hub.
        pretrained: Pretrained tag of open_clip such as ``'openai'``, or path of a checkpoint file. Leave it out for
            ``'offline'`` and the schemas, which bring their own weights.
        templates: Format strings with one ``{}`` each, such as ``('{}', 'a photo of {}')``. The embedding of a concept
            is the mean over its phrases and all templates, as in open_clip's zero-shot classifier. ``'imagenet'``
            stands for OpenAI's eighty templates.
        quick_gelu: Build the model with QuickGELU. A checkpoint *file* of OpenAI's weights needs it; a tag sets it by
            itself.
        cache_dir: Folder of the cached embeddings; :func:`default_cache_dir` by default.
        device: Device of the frozen tower.
        trainable: Regular expressions; parameters whose name contains a match are trained, such as ``('attn',)``;
            ``('',)`` trains all.
        adapter: Options of :func:`~hyperbolic_seg.layers.add_to_tower`, which adapts the frozen weights of the
            attention, such as ``dict(type='RadiusScaling', block_size=128, curvature=1.0)`` of HyperCLIP.
        with_cp: Recompute activations of the trained tower in the backward pass instead of storing them.
    """

    def __init__(
        self,
        model: str = OFFLINE,
        pretrained: str | None = None,
        *,
        templates: Sequence[str] | str = TEMPLATES,
        quick_gelu: bool = False,
        cache_dir: str | None = None,
        device: str = 'cpu',
        trainable: Sequence[str] = (),
        adapter: dict[str, Any] | None = None,
        with_cp: bool = False,
    ) -> None:
        if model != OFFLINE:
            check_source(model, pretrained)
        elif pretrained is not None:
            raise ValueError(f'the offline tower has its own weights, got pretrained={pretrained!r}: leave it out')
        templates = _templates(templates)
        if bad := [template for template in templates if template.count('{}') != 1]:
            raise ValueError(f'a template holds {{}} exactly once, got {bad}')
        if isinstance(trainable, str):
            raise TypeError(f'trainable={trainable!r}: expected a list of patterns, such as ({trainable!r},)')
        if not templates:
            raise ValueError('at least one template is needed; the plain one is "{}"')
        self.model, self.pretrained = model, pretrained
        self.templates = tuple(templates)
        self.quick_gelu = quick_gelu
        self.device = device
        self.cache_dir = cache_dir
        self.trainable, self.adapter, self.with_cp = tuple(trainable), adapter, with_cp
        self._fingerprint: str | None = None
        self._tower: Any = None
        self._loaded: tuple[Callable[[Tensor], Tensor], Any] | None = None

    @property
    def trained(self) -> bool:
        """True if the tower is trained with the model."""
        return bool(self.trainable) or self.adapter is not None

    def build_tower(self) -> TextTower:
        """Build the tower to train, with random weights."""
        return TextTower(
            self.model,
            self.pretrained,
            quick_gelu=self.quick_gelu,
            trainable=self.trainable,
            adapter=self.adapter,
            with_cp=self.with_cp,
        )

    def encode_vocabulary(
        self, vocabulary: Vocabulary, *, by_template: bool = False, tower: TextTower | None = None
    ) -> Tensor:
        """Return unit embeddings of concepts, (K, D), or one per template, (K, P, D).

        Args:
            vocabulary: The concepts; embeddings of their phrases are averaged.
            by_template: Keep templates apart.
            tower: Tower to encode with, with gradients. By default the frozen tower, whose embeddings are float32 on
                the CPU.

        Raises:
            RuntimeError: The weights cannot be obtained; the message lists the ways out.
        """
        texts = [t.format(phrase) for concept in vocabulary for phrase in concept.phrases for t in self.templates]
        flat = (self.encode if tower is None else tower)(texts).unflatten(0, (-1, len(self.templates)))
        parts = flat.split([len(concept.phrases) for concept in vocabulary])
        means = torch.stack([part.mean(0 if by_template else (0, 1)) for part in parts])
        return F.normalize(means, dim=-1)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return unit embeddings of texts without templates, (T, D) float32 on the CPU, cached ones where possible."""
        cache = self._cache()
        vectors = cache.get(texts)
        vectors.update(self._embed_into(cache, [text for text in texts if text not in vectors]))
        if len({vector.shape for vector in vectors.values()}) > 1:  # the cache holds those of another encoder
            vectors = self._embed_into(cache, texts)
        return torch.from_numpy(np.stack([vectors[text] for text in texts]))

    def _cache(self) -> EmbeddingCache:
        return EmbeddingCache(self.cache_dir or default_cache_dir(), self.fingerprint())

    def cache_file(self) -> Path:
        """Return the file of the cached embeddings."""
        return self._cache().path

    def _embed_into(self, cache: EmbeddingCache, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Embed texts, and cache every batch as soon as it is done."""
        vectors: dict[str, np.ndarray] = {}
        ordered = sorted(dict.fromkeys(texts), key=len)  # similar lengths together, for little padding
        for start in range(0, len(ordered), _BATCH):
            batch = ordered[start : start + _BATCH]
            embeddings, cut = self._embed(batch)
            embedded = dict(zip(batch, embeddings.numpy(), strict=True))
            vectors.update(embedded)
            # A text that is cut is not kept, so that the warning comes each time.
            cache.put({text: vector for text, vector in embedded.items() if text not in cut})
        return vectors

    def fingerprint(self) -> str:
        """Return the identity of the encoder: a SHA-256 over its weights and its activation."""
        if self._fingerprint is None:
            quick_gelu = uses_quick_gelu(self.model, self.pretrained, asked=self.quick_gelu)
            what = f'quick_gelu={quick_gelu}|{self._weights_digest()}'
            self._fingerprint = hashlib.sha256(what.encode()).hexdigest()
        return self._fingerprint

    def _weights_digest(self) -> str:
        if self.model == OFFLINE:
            if not has_offline_weights():  # embeddings cached elsewhere are of these weights, as no others are used
                return SHA256
            path = offline_weights()
            digest = sha256_of(path)
            check_offline_weights(digest, path)
            return digest
        if self.pretrained is None:
            self._load()
            return _digest_of_state(self._tower.state_dict())
        return sha256_of(weights_file(self.model, self.pretrained))

    def _load(self) -> tuple[Callable[[Tensor], Tensor], Any]:
        """Load the tower, frozen and in evaluation mode, and its tokenizer."""
        with torch.random.fork_rng(devices=[]):  # a seed gives the same weights of a head, whatever is cached
            if self.model == OFFLINE:
                tower, tokenizer = build_offline_tower(), offline_tokenizer()
                load_offline_tower(tower)
                encode: Callable[[Tensor], Tensor] = partial(encode_offline, tower)
            else:
                model = load_open_clip(self.model, self.pretrained, quick_gelu=self.quick_gelu)
                tokenizer = load_tokenizer(self.model)
                encode = cast(Callable[[Tensor], Tensor], model.encode_text)
                tower = cast(nn.Module, model.text) if hasattr(model, 'text') else model
                del model.visual
        tower.requires_grad_(False).eval().to(self.device)
        self._tower = tower
        self._loaded = (encode, tokenizer)
        return self._loaded

    @torch.no_grad()
    def _embed(self, texts: Sequence[str]) -> tuple[Tensor, list[str]]:
        """Return unit embeddings, and the texts that are longer than the tower reads."""
        encode, tokenizer = self._loaded or self._load()
        tokens, cut = tokenize(tokenizer, texts)
        tokens = tokens.to(self.device)
        with full_precision(tokens.device):  # cached embeddings must not depend on the caller's autocast
            return F.normalize(encode(tokens).float(), dim=-1).cpu(), cut

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings alone; copies load the tower again on first use."""
        return self.__dict__ | {'_tower': None, '_loaded': None}

    def __repr__(self) -> str:
        return f'OpenCLIPTextEncoder(model={self.model!r}, pretrained={self.pretrained!r})'


def _templates(given: Sequence[str] | str) -> Sequence[str]:
    if not isinstance(given, str):
        return given
    if given != 'imagenet':
        raise ValueError(f"templates={given!r}: expected format strings in a list, or 'imagenet'")
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return [template('{}') for template in OPENAI_IMAGENET_TEMPLATES]


def _digest_of_state(state: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
