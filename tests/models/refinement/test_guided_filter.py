import pytest
import torch
from mmengine.config import ConfigDict

from hyperbolic_seg.models.refinement import Refinement, guided_upsample, refine


def random_image(height=64, width=96, batch=2):
    torch.manual_seed(0)
    coarse = torch.rand(batch, 3, height // 4, width // 4)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode='bicubic')
    return smooth + 0.02 * torch.randn(batch, 3, height, width)


def shrink(image, factor=2):
    return torch.nn.functional.avg_pool2d(image, factor)


def test_what_is_affine_in_the_color_comes_back_at_full_size():
    image = random_image()
    weights, offset = torch.tensor([0.3, -0.5, 0.9]), 0.2
    truth = torch.einsum('c,nchw->nhw', weights, image)[:, None] + offset
    got = guided_upsample(shrink(truth), image, radius=4, eps=1e-9)
    torch.testing.assert_close(got, truth, atol=2e-4, rtol=1e-3)
    plain = torch.nn.functional.interpolate(shrink(truth), size=truth.shape[2:], mode='bilinear')
    assert (plain - truth).abs().max() > 0.02


def test_an_image_without_edges_gives_the_mean_of_windows():
    values = torch.rand(1, 2, 16, 16)
    got = guided_upsample(values, torch.full((1, 3, 32, 32), 0.4), radius=15, eps=1e-3)  # a window holds all
    torch.testing.assert_close(got, values.mean((2, 3), keepdim=True).expand_as(got))


def test_gray_images_have_no_color_to_fit():
    gray = random_image()[:, :1].expand(-1, 3, -1, -1)
    truth = 0.7 * gray[:, :1] - 0.1
    got = guided_upsample(shrink(truth), gray, radius=4, eps=1e-6)
    torch.testing.assert_close(got, truth, atol=5e-3, rtol=0)


def test_an_edge_of_the_image_becomes_one_of_the_map():
    image = torch.zeros(1, 3, 32, 64)
    image[..., 31:] = 1.0  # between two cells of the coarse grid
    truth = image[:, :1].clone()
    got = guided_upsample(shrink(truth), image, radius=3, eps=1e-4)
    assert ((got > 0.5) == (truth > 0.5)).all()


def test_probabilities_stay_probabilities():
    logits = 3 * torch.randn(2, 5, 32, 48)
    refinement = Refinement(guided=dict(radius=4, eps=1e-4), kinds=(0,) * 5)
    log_p = refine(logits, random_image(), refinement, levels=random_image())
    assert log_p.shape == (2, 5, 64, 96)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(2, 64, 96))


def test_half_precision_is_computed_in_full():
    values, image = torch.rand(2, 3, 32, 48), random_image()
    full = guided_upsample(values, image)
    half = guided_upsample(values.bfloat16(), image.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float() - full).abs().mean() < 0.05


@pytest.mark.parametrize('image, radius', [(torch.rand(1, 1, 8, 8), 2), (torch.rand(1, 3, 8, 8), 0)])
def test_wrong_channels_and_radii_are_refused(image, radius):
    with pytest.raises(ValueError, match='3 channels and a radius'):
        guided_upsample(torch.rand(1, 2, 4, 4), image, radius=radius)


def test_a_segmentor_follows_edges_if_guided_is_set(build):
    model = build().eval()
    plain = model.predict(random_image(batch=1))[0]
    model.test_cfg = ConfigDict(mode='whole', guided=dict(radius=4, eps=1e-3))
    guided = model.predict(random_image(batch=1))[0]
    assert guided.seg_logits.data.shape == plain.seg_logits.data.shape
    torch.testing.assert_close(guided.seg_logits.data.exp().sum(0), torch.ones(64, 96))
    assert not torch.equal(guided.seg_logits.data.softmax(0), plain.seg_logits.data.softmax(0))
    torch.testing.assert_close(guided.pred_radius.data, plain.pred_radius.data)
    words = [concept.name for concept in model.vocabulary]
    assert list(guided.classes) == words
