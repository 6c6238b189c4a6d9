"""Small vision transformers of timm, registered by name, as vision towers of open_clip."""

from functools import partial

from timm.layers import LayerNorm
from timm.models import register_model
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer

from tests.tiny_clip import TEXT

_SIZES = dict(img_size=48, patch_size=16, embed_dim=64, depth=3, num_heads=4)
_ROTARY = dict(use_rot_pos_emb=True, qkv_fused=True)


def _without_weights(
    model, options, *, pretrained=False, pretrained_cfg=None, pretrained_cfg_overlay=None, cache_dir=None, **kwargs
):
    """Build a model; timm passes what the weights of a real one would be found by."""
    assert not pretrained
    return model(**_SIZES | options | kwargs)


@register_model
def tiny_siglip(**kwargs):
    """As ``vit_base_patch16_siglip_224``."""
    return _without_weights(VisionTransformer, dict(class_token=False, global_pool='map'), **kwargs)


@register_model
def tiny_mean(**kwargs):
    """As ``vit_base_patch16_siglip_gap_224`` with registers, which are pooled over the patches alone."""
    options = dict(class_token=False, reg_tokens=2, no_embed_class=True, init_values=0.5, global_pool='avg')
    return _without_weights(VisionTransformer, options, **kwargs)


@register_model
def tiny_pe_core(**kwargs):
    """As ``vit_pe_core_base_patch16_224``, but that the reference grid is another than that of its images."""
    options = dict(
        global_pool='map',
        attn_type='rope',
        use_pre_transformer_norm=True,
        ref_feat_shape=(4, 4),
        rope_grid_offset=1.0,
        rope_grid_indexing='xy',
        attn_pool_num_heads=8,
        attn_pool_mlp_ratio=4.0,
        norm_layer=partial(LayerNorm, eps=1e-5),
    )
    return _without_weights(Eva, options | _ROTARY, **kwargs)


@register_model
def tiny_eva02(**kwargs):
    """As ``eva02_base_patch16_clip_224``."""
    options = dict(mlp_ratio=4 * 2 / 3, swiglu_mlp=True, scale_mlp=True, scale_attn_inner=True, ref_feat_shape=(4, 4))
    return _without_weights(Eva, options | _ROTARY | dict(qkv_fused=False), **kwargs)


@register_model
def tiny_eva02_enormous(**kwargs):
    """As ``eva02_enormous_patch14_clip_224``: norms after attention and feed-forward part, biases of their own."""
    return _without_weights(Eva, dict(use_post_norm=True), **kwargs)


def _config(name: str, pool: str, proj: str | None) -> dict:
    vision = dict(timm_model_name=f'tiny_{name}', timm_pool=pool, timm_proj=proj, image_size=48)
    return dict(embed_dim=64 if proj == 'none' else 32, custom_text=True, vision_cfg=vision, text_cfg=TEXT)


CONFIGS = dict(
    siglip=_config('siglip', 'map', 'none'),
    mean=_config('mean', 'avg', None),
    pe_core=_config('pe_core', 'map', None),
    eva02=_config('eva02', 'token', None),
    eva02_enormous=_config('eva02_enormous', 'token', None),
)
"""Configs of open_clip by family."""
