"""MaskCLIP, SCLIP and ClearCLIP beside recorded dense features of their released code."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from tests.parity.models import record
from tests.tiny_clip import register

VISION = dict(image_size=112, layers=3, width=128, head_width=64, patch_size=16)
TEXT = dict(context_length=77, vocab_size=49408, width=32, heads=2, layers=1)
MEAN, STD = (122.771, 116.746, 104.094), (68.501, 66.632, 70.323)  # as recorded, of three decimals
METHODS = {
    'sclip': dict(dense='sclip', positions='scale'),
    'clearclip': dict(dense='clearclip', positions='scale'),
    'clearclip_maskclip': dict(dense='maskclip', positions='scale'),
    'vanilla': dict(dense='tokens', positions='scale'),
    'maskclip': dict(dense='maskclip', activation='gelu', norm_eps=1e-6),
    'maskclip_quickgelu': dict(dense='maskclip'),
}


@pytest.fixture(scope='module')
def numbers(parity_folder):
    return record(parity_folder, 'zero_shot_record')[0]


@pytest.fixture(scope='module')
def name(tmp_path_factory):
    return register(
        tmp_path_factory.mktemp('zero'), dict(embed_dim=32, quick_gelu=True, vision_cfg=VISION, text_cfg=TEXT)
    )


@pytest.mark.parametrize('size', ['a', 'b'])
@pytest.mark.parametrize('method', METHODS)
def test_dense_features_and_cosines(numbers, name, method, size):
    backbone = MODELS.build(dict(type='OpenCLIPVisionBackbone', model=name, pretrained='none.pt', **METHODS[method]))
    weights = {n.removeprefix('visual.'): v.float() for n, v in numbers.items() if n.startswith('visual.')}
    backbone.visual.load_state_dict(weights)
    backbone.eval()
    height, width = numbers[f'size_{size}'].tolist()
    image = numbers['picture'][:height, :width].permute(2, 0, 1).float()
    image = (image - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        dense = backbone(image[None])[-1][0]
    assert (dense - numbers[f'{method}.{size}.dense']).abs().max() < 1e-5
    cosine = torch.einsum('dhw,kd->khw', F.normalize(dense, dim=0), numbers['text'])
    assert (cosine - numbers[f'{method}.{size}.logits']).abs().max() < 2e-6
    enlarged = numbers.get(f'{method}.{size}.logits_enlarged.s7')
    if enlarged is not None:
        found = F.interpolate(cosine[None], size=(height, width), mode='bilinear')[0, :, ::7, ::7]
        assert (found - enlarged).abs().max() < 2e-6


def test_positions_by_size_are_another_result(numbers, name):
    """So the record can tell the two apart."""
    option = dict(METHODS['sclip'], positions='size')
    backbone = MODELS.build(dict(type='OpenCLIPVisionBackbone', model=name, pretrained='none.pt', **option))
    backbone.visual.load_state_dict(
        {n.removeprefix('visual.'): v.float() for n, v in numbers.items() if n.startswith('visual.')}
    )
    image = numbers['picture'].permute(2, 0, 1).float()
    image = (image - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    with torch.no_grad():
        dense = backbone.eval()(image[None])[-1][0]
    assert (dense - numbers['sclip.b.dense']).abs().max() > 0.1
