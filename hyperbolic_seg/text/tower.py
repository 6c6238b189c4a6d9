"""Text towers that are trained with the model that uses them."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import cached
from torch.utils.checkpoint import checkpoint

from hyperbolic_seg.layers.adapters import add_to_tower, load_tower, merge_tower
from hyperbolic_seg.layers.freezing import train_only
from hyperbolic_seg.text.minilm import OFFLINE, build_offline_tower, encode_offline, load_offline_tower
from hyperbolic_seg.text.open_clip import build_open_clip, load_open_clip

_BATCH = 64


class TextTower(nn.Module):
    """The text tower of an open_clip model, of which some parameters train.

    It is always in evaluation mode, so that dropout, which some towers have, makes no noise of the words.

    Args:
        model: A model name of open_clip such as ``'ViT-B-16'``, also with its schemas; or ``'offline'``.
        pretrained: A pretrained tag or a checkpoint file, read by :meth:`init_weights`.
        quick_gelu: Build with QuickGELU, which a checkpoint *file* of OpenAI's weights needs.
        trainable: Regular expressions; see :func:`~hyperbolic_seg.layers.freezing.train_only`.
        scaling: Options of :func:`~hyperbolic_seg.layers.adapters.add_to_tower`; ``None`` for none.
        with_cp: Recompute activations in the backward pass instead of keeping them.

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
        scaling: dict | None = None,
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
        if scaling is not None:
            add_to_tower(self.tower, **scaling)
        self.tower.eval()

    @property
    def offline(self) -> bool:
        """Whether this is the tower that needs no hub."""
        return self.source['model'] == OFFLINE

    def init_weights(self) -> None:
        """Load the weights of the tower.

        Raises:
            RuntimeError: They cannot be had; the message names what can be done.
        """
        if self.offline:
            plain = build_offline_tower()
            load_offline_tower(plain)
        else:
            plain = _without_vision(load_open_clip(**self.source))
        load_tower(self.tower, plain.state_dict())

    def merge_scaling(self) -> 'TextTower':
        """Turn scaled weights into plain ones, with open_clip's names; return the tower, changed in place."""
        merge_tower(self.tower)
        return self

    def train(self, mode: bool = True) -> 'TextTower':
        """Turn to training or evaluation, but for the layers of the tower."""
        super().train(mode)
        self.tower.eval()
        return self

    def forward(self, texts: Sequence[str], *, normalize: bool = True) -> Tensor:
        """Return embeddings of texts, (T, D).

        Args:
            texts: As they are.
            normalize: Make unit vectors of them.
        """
        tokens = self.tokenizer(list(texts)).to(next(self.tower.parameters()).device)
        found = torch.cat([self._run(batch) for batch in tokens.split(_BATCH)]).float()
        return F.normalize(found, dim=-1) if normalize else found

    @property
    def tokenizer(self) -> Any:
        """What makes tokens of texts, loaded when first needed."""
        if self._tokenizer is None:
            if self.offline:
                from hyperbolic_seg.text.minilm import offline_tokenizer

                self._tokenizer = offline_tokenizer()
            else:
                from open_clip import get_tokenizer

                self._tokenizer = get_tokenizer(self.source['model'])
        return self._tokenizer

    def _run(self, tokens: Tensor) -> Tensor:
        if self.with_cp and torch.is_grad_enabled():
            return checkpoint(self._encode, tokens, use_reentrant=False)
        return self._encode(tokens)

    def _encode(self, tokens: Tensor) -> Tensor:
        with cached():  # scaled weights are computed once
            return encode_offline(self.tower, tokens) if self.offline else self.tower.encode_text(tokens)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and pickles carry no tokenizer."""
        return self.__dict__ | {'_tokenizer': None}


def _without_vision(model: Any) -> nn.Module:
    """Return what encodes text; the factors of the logits, which it does not use, are no parameters any more."""
    del model.visual
    for name in ('logit_scale', 'logit_bias'):
        setattr(model, name, None)
    return model
