"""Text towers that are trained together with the model."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import cached
from torch.utils.checkpoint import checkpoint

from hyperbolic_seg.geometry.numeric import at_least_float32
from hyperbolic_seg.layers.adapters import add_to_tower, load_tower, merge_tower
from hyperbolic_seg.layers.freezing import train_only
from hyperbolic_seg.text.minilm import OFFLINE, build_offline_tower, encode_offline, load_offline_tower
from hyperbolic_seg.text.open_clip import build_open_clip, load_open_clip, load_tokenizer, tokenize

_BATCH = 64
_STACKS = ('resblocks', 'layer')  # names of the blocks in open_clip and transformers


class TextTower(nn.Module):
    """Text tower of an open_clip model, with some trainable parameters.

    It stays in evaluation mode, so that dropout, which some towers have, adds no noise to the embeddings.

    Args:
        model: Model name of open_clip such as ``'ViT-B-16'``, with or without a schema; or ``'offline'``.
        pretrained: Pretrained tag or checkpoint file, read by :meth:`init_weights`.
        quick_gelu: Build with QuickGELU, which a checkpoint *file* of OpenAI's weights needs.
        trainable: Regular expressions; see :func:`~hyperbolic_seg.layers.train_only`.
        adapter: Options of :func:`~hyperbolic_seg.layers.add_to_tower`, with the ``type``; ``None`` for none.
        with_cp: Recompute activations in the backward pass instead of storing them.

    Raises:
        ValueError: A setting does not fit the model.
        RuntimeError: open_clip has no such model.
    """

    def __init__(
        self,
        model: str,
        pretrained: str | None,
        *,
        quick_gelu: bool = False,
        trainable: Sequence[str] = (),
        adapter: dict[str, Any] | None = None,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.source: dict[str, Any] = dict(model=model, pretrained=pretrained, quick_gelu=quick_gelu)
        self.with_cp = with_cp
        self._tokenizer: Any = None
        if model == OFFLINE:
            self.tower: Any = build_offline_tower()
        else:
            self.tower = _without_vision(build_open_clip(model, pretrained, quick_gelu=quick_gelu))
        train_only(self.tower, trainable)
        if adapter is not None:
            add_to_tower(self.tower, **adapter)
        self.tower.eval()

    @property
    def offline(self) -> bool:
        """True for the offline tower, which needs no hub."""
        return bool(self.source['model'] == OFFLINE)

    def init_weights(self) -> None:
        """Load the weights of the tower.

        Raises:
            RuntimeError: The weights cannot be obtained; the message lists the ways out.
        """
        if self.offline:
            plain = build_offline_tower()
            load_offline_tower(plain)
        else:
            plain = _without_vision(load_open_clip(**self.source))
        load_tower(self.tower, plain.state_dict())
        own = dict(self.tower.named_buffers())
        for name, buffer in plain.named_buffers():  # masks and positions too, which a state dict lacks
            own[name].copy_(buffer)

    def merge_adapter(self) -> 'TextTower':
        """Merge adapters and split projections into weights with open_clip's names, in place; return the tower."""
        merge_tower(self.tower)
        return self

    def blocks(self) -> Iterator[nn.Module]:
        """Yield the blocks of the tower, each of which can be sharded by itself."""
        for name, module in self.tower.named_modules():
            if name.rpartition('.')[2] in _STACKS:
                yield from module.children()

    def train(self, mode: bool = True) -> 'TextTower':
        """Switch between training and evaluation; the layers of the tower stay in evaluation mode."""
        super().train(mode)
        self.tower.eval()
        return self

    def forward(self, texts: Sequence[str], *, normalize: bool = True) -> Tensor:
        """Return embeddings of texts, (T, D).

        Args:
            texts: The texts; templates are already filled in.
            normalize: Scale the embeddings to unit length.
        """
        known = itertools.chain(self.tower.parameters(), self.tower.buffers())  # DataParallel leaves buffers alone
        tokens = tokenize(self.tokenizer, texts)[0].to(next(known).device)
        embeddings = at_least_float32(torch.cat([self._run(batch) for batch in tokens.split(_BATCH)]))
        return F.normalize(embeddings, dim=-1) if normalize else embeddings

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, loaded on first use."""
        if self._tokenizer is None:
            if self.offline:
                from hyperbolic_seg.text.minilm import offline_tokenizer

                self._tokenizer = offline_tokenizer()
            else:
                self._tokenizer = load_tokenizer(self.source['model'])
        return self._tokenizer

    def _run(self, tokens: Tensor) -> Tensor:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(self._encode, tokens, use_reentrant=False)
        return self._encode(tokens)

    def _encode(self, tokens: Tensor) -> Tensor:
        with cached():  # computes adapted weights once instead of at every access
            return encode_offline(self.tower, tokens) if self.offline else self.tower.encode_text(tokens)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the tokenizer, which copies load again."""
        return self.__dict__ | {'_tokenizer': None}


def _without_vision(model: Any) -> nn.Module:
    """Return the text part of a CLIP model, without the parameters of its logits."""
    del model.visual
    for name in ('logit_scale', 'logit_bias'):
        setattr(model, name, None)
    return cast(nn.Module, model)
