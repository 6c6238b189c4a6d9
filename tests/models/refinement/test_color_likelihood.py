import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.structures import SegDataSample
from scipy.stats import multivariate_normal

from hyperbolic_seg.models.refinement import Refinement, apply_color_likelihood, refine
from hyperbolic_seg.text import Concept, Taxonomy, Vocabulary, kinds
from tests.stack import needs_export

SKY, CLOUD = (110.0, 150.0, 210.0), (150.0, 152.0, 160.0)  # red, green, blue


def scene(height=48, width=64, gains=(1.0, 1.0, 1.0)):
    """An image (1, 3, H, W) whose right half is cloud, its labels (H, W) and what a wavering model makes of it.

    The model is right at the far left and right, and undecided between, in favour of the wrong one.
    """
    rng = np.random.default_rng(0)
    labels = np.zeros((height, width), int)
    labels[:, width // 2 :] = 1
    colors = np.array([SKY, CLOUD])[labels] * np.exp(rng.normal(0, 0.25, (height, width, 1)))
    colors = colors * gains + rng.normal(0, 3, (height, width, 3))
    cloud = np.where(labels == 1, 0.45, 0.55)
    cloud[:, : width // 4], cloud[:, -width // 4 :] = 0.03, 0.97
    probs = torch.tensor(np.stack([1 - cloud, cloud]))[None].float()
    return torch.tensor(colors).permute(2, 0, 1)[None].float(), torch.tensor(labels), probs.log()


def by_hand(log_probs, image, weight):
    """Bayes' rule with Gaussians of numpy in float64, pixel by pixel over classes (K, P)."""
    levels = image[0].double().flatten(1).numpy()
    saturation = 1 - (levels.min(0) + 1) / (levels.max(0) + 1)
    x = np.vstack([np.log(levels + 8), saturation]).T
    prior = log_probs[0].double().flatten(1).numpy()
    shares = np.exp(prior) ** 4
    mass = shares.sum(1)
    means = [s @ x / m for s, m in zip(shares, mass, strict=True)]
    spread = sum((s[:, None] * (x - m)).T @ (x - m) for s, m in zip(shares, means, strict=True))
    inverse = np.linalg.inv(spread / mass.sum() + 1e-3 * np.eye(4))
    own = np.exp([-0.5 * np.einsum('pf,fg,pg->p', x - m, inverse, x - m) for m in means])
    whole = mass / mass.sum() @ own
    known = (mass / (mass + 0.01 * len(x)))[:, None]
    joint = prior + weight * np.log(known * own + (1 - known) * whole)
    return joint - np.logaddexp.reduce(joint, axis=0)


def by_kinds(log_probs, image, kinds, **options):
    """Weigh classes of which some are of one kind."""
    refinement = Refinement(color_likelihood=options, kinds=kinds)
    return refine(log_probs, image, refinement, levels=image)


@pytest.mark.parametrize('weight', [1.0, 2.0])
@pytest.mark.parametrize('classes', [2, 4])
def test_it_is_bayes_rule_with_one_gaussian_for_each_class(weight, classes):
    image, _, log_probs = scene()
    extra = torch.randn(1, classes - 2, *image.shape[2:], generator=torch.Generator().manual_seed(0))
    log_probs = torch.cat([log_probs, extra], 1).log_softmax(1)
    got = apply_color_likelihood(log_probs, image, weight=weight)
    expected = by_hand(log_probs, image, weight)
    np.testing.assert_allclose(got[0].flatten(1).numpy(), expected, atol=5e-3, rtol=1e-3)


@pytest.mark.parametrize('gains', [(1.0, 1.0, 1.0), (1.1, 0.6, 0.5), (0.7, 0.9, 1.2)])
def test_where_the_model_wavers_the_colors_decide_under_any_white_balance(gains):
    image, labels, log_probs = scene(gains=gains)
    before = (log_probs[0].argmax(0) == labels).float().mean()
    after = (apply_color_likelihood(log_probs, image)[0].argmax(0) == labels).float().mean()
    assert before < 0.6
    assert after > 0.97


@pytest.mark.parametrize('rounds', [1, 3])
def test_colors_are_learned_from_some_pixels_and_weigh_all(rounds):
    image, _, log_probs = scene()
    every, some = ([maps[..., ::k, ::k] for maps in (log_probs, image)] for k in (1, 2))
    found = apply_color_likelihood(*every, rounds=rounds, step=2)
    torch.testing.assert_close(found[..., ::2, ::2], apply_color_likelihood(*some, rounds=rounds))
    assert (found - apply_color_likelihood(*every, rounds=rounds)).abs().mean() < 0.1
    with pytest.raises(ValueError, match='at least one round and step'):
        apply_color_likelihood(log_probs, image, step=0)


def test_more_rounds_learn_from_what_came_out():
    image, labels, log_probs = scene()
    truth = torch.stack([labels == 0, labels == 1])[None]
    once, thrice = (apply_color_likelihood(log_probs, image, rounds=r)[truth].mean() for r in (1, 3))
    assert thrice > once > log_probs[truth].mean()


def test_a_weight_of_zero_changes_nothing():
    image, _, log_probs = scene()
    torch.testing.assert_close(apply_color_likelihood(log_probs, image, weight=0.0, rounds=2), log_probs)


def test_an_image_of_one_color_changes_nothing():
    _, _, log_probs = scene()
    image = torch.full((1, 3, 48, 64), 120.0)
    torch.testing.assert_close(apply_color_likelihood(log_probs, image), log_probs, atol=1e-4, rtol=1e-4)


class Likelihood(torch.nn.Module):
    def __init__(self, varied=None):
        super().__init__()
        self.varied = varied

    def forward(self, log_probs, image):
        return apply_color_likelihood(log_probs, image, varied=self.varied)


def overcast():
    """An overcast sky with one red pixel, of which a model is unsure."""
    image = torch.full((1, 3, 16, 16), 200.0)
    image[0, :, 0, 0] = torch.tensor([255.0, 20.0, 20.0])
    probs = torch.full((1, 2, 16, 16), 0.02)
    probs[:, 1] = 0.98
    probs[..., 0, 0] = 0.5
    return probs.log(), image


@needs_export
@pytest.mark.slow
@pytest.mark.parametrize('varied', [None, (True, False)])
def test_in_onnx_no_odds_are_too_large(varied):
    pytest.importorskip('onnx')
    onnxruntime = pytest.importorskip('onnxruntime')
    inputs = overcast()  # the densities pass exp(89) at the red pixel, which float32 does not hold
    expected = Likelihood(varied)(*inputs)
    program = torch.onnx.export(Likelihood(varied), inputs, dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    names = [one.name for one in session.get_inputs()]
    (found,) = session.run(None, {name: one.numpy() for name, one in zip(names, inputs, strict=True)})
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_padding_and_black_surroundings_neither_speak_nor_change():
    image, _, log_probs = scene()
    alone = apply_color_likelihood(log_probs, image)
    around = torch.nn.functional.pad(image, (0, 32, 0, 16), value=240.0)
    around[..., 80:] = 3.0  # as outside a lens
    padded_probs = torch.nn.functional.pad(log_probs, (0, 32, 0, 16), value=-0.6931)
    inside = torch.zeros(1, 1, 64, 96, dtype=torch.bool)
    inside[..., :48, :64] = True
    inside[..., 80:] = True  # of the image, but black
    got = apply_color_likelihood(padded_probs, around, inside=inside)
    torch.testing.assert_close(got[..., :48, :64], alone, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(got[..., 64:], padded_probs[..., 64:].log_softmax(1))


def test_images_of_a_batch_do_not_mix():
    first, second = scene(), scene(gains=(0.5, 0.8, 1.1))
    both = apply_color_likelihood(torch.cat([first[2], second[2]]), torch.cat([first[0], second[0]]))
    for row, (image, _, log_probs) in zip(both, (first, second), strict=True):
        torch.testing.assert_close(row, apply_color_likelihood(log_probs, image)[0], atol=1e-4, rtol=1e-4)


def test_a_class_without_a_pixel_does_not_appear():
    image, _, log_probs = scene()
    absent = torch.full((1, 1, *image.shape[2:]), -12.0)
    got = apply_color_likelihood(torch.cat([log_probs, absent], 1), image)
    assert got.isfinite().all()
    assert got[:, 2].exp().max() < 1e-3


def test_a_class_that_hardly_appears_does_not_win_what_lies_between_others():
    image, labels, log_probs = scene()
    rare = torch.full((1, 1, *image.shape[2:]), 0.04).log()
    got = apply_color_likelihood(torch.cat([log_probs, rare], 1).log_softmax(1), image, rounds=3)[0]
    assert (got.argmax(0) == 2).float().mean() < 0.01
    assert (got[:2].argmax(0) == labels).float().mean() > 0.97


def test_classes_of_one_kind_share_the_evidence():
    image, _, log_probs = scene()
    split = torch.tensor([0.7, 0.3]).log()[None, :, None, None]
    cloud = log_probs[:, 1:] + split  # two genera
    got = by_kinds(torch.cat([log_probs[:, :1], cloud], 1), image, (0, 1, 1))
    torch.testing.assert_close(got[:, 1:] - got[:, 1:].logsumexp(1, keepdim=True), split.expand_as(cloud))
    joined = torch.cat([got[:, :1], got[:, 1:].logsumexp(1, keepdim=True)], 1)
    torch.testing.assert_close(joined, apply_color_likelihood(log_probs, image), atol=1e-4, rtol=1e-4)


def test_a_single_kind_changes_nothing():
    image, _, log_probs = scene()
    torch.testing.assert_close(by_kinds(log_probs, image, (0, 0)), log_probs, atol=1e-5, rtol=1e-5)


def concepts(*names):
    tree = Taxonomy.load('sky').nodes
    return Vocabulary([tree[tree.names.index(name)] if name in tree.names else Concept(name) for name in names])


@pytest.mark.parametrize(
    'words, expected',
    [
        (Vocabulary.from_prompts(['blue sky', 'clouds'], known=Taxonomy.load('sky').nodes), [0, 1]),
        (Vocabulary.load('leaves'), [0] + [1] * 11 + [2] * 10),
        (Vocabulary.load('genera'), [0] + [1] * 10 + [2]),
        (concepts('clear sky', 'cumulus', 'cirrus', 'a word beside the tree'), [0, 1, 1, 2]),
        (concepts('cloud', 'cumulus', 'everything'), [0, 0, 1]),
    ],
)
def test_kinds_are_what_lies_below_the_root(words, expected):
    assert kinds(words, Taxonomy.load('sky').root) == expected


def test_without_a_taxonomy_the_root_is_what_all_have():
    assert kinds(Vocabulary.load('leaves')) == [0] + [1] * 11 + [2] * 10
    assert kinds(Vocabulary.load('binary')) == [0, 1]
    assert kinds(Vocabulary.from_prompts(['sky', 'cloud'])) == [0, 1]


def test_half_precision_is_computed_in_full():
    image, _, log_probs = scene()
    half = apply_color_likelihood(log_probs.bfloat16(), image.bfloat16())
    assert half.dtype == torch.bfloat16
    assert (half.float().exp() - apply_color_likelihood(log_probs, image).exp()).abs().mean() < 0.02


def test_a_temperature_softens_without_another_verdict():
    image, _, log_probs = scene()
    sharp, soft = (apply_color_likelihood(log_probs, image, temperature=t) for t in (1.0, 2.0))
    torch.testing.assert_close(soft, (sharp / 2).log_softmax(1))
    assert torch.equal(sharp.argmax(1), soft.argmax(1))


def test_a_temperature_leaves_the_odds_within_a_kind_and_black_pixels():
    image, _, log_probs = scene()
    image[..., :5] = 2.0
    split = torch.tensor([0.7, 0.3]).log()[None, :, None, None]
    three = torch.cat([log_probs[:, :1], log_probs[:, 1:] + split], 1)
    got = by_kinds(three, image, (0, 1, 1), temperature=2.0)
    torch.testing.assert_close(got[:, 1:] - got[:, 1:].logsumexp(1, keepdim=True), split.expand_as(got[:, 1:]))
    joined = torch.cat([got[:, :1], got[:, 1:].logsumexp(1, keepdim=True)], 1)
    torch.testing.assert_close(joined, apply_color_likelihood(log_probs, image, temperature=2.0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got[..., :5], three[..., :5], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    'channels, options', [(1, {}), (3, dict(weight=-0.5)), (3, dict(rounds=0)), (3, dict(temperature=0.0))]
)
def test_wrong_channels_and_options_are_refused(channels, options):
    with pytest.raises(
        ValueError, match='3 channels, a weight of at least 0, at least one round and step and a positive'
    ):
        apply_color_likelihood(torch.zeros(1, 2, 4, 4), torch.rand(1, channels, 4, 4), **options)


def street(height=48, width=64):
    """A gray sky beside dark trees and bright walls; a model is sure of a part of each and wavers on the rest."""
    rng = np.random.default_rng(1)
    labels = np.zeros((height, width), int)
    labels[:, : width // 3] = 1
    colors = np.array([[100.0, 103.0, 106.0], [0, 0, 0]])[labels]
    walls = np.where(rng.random((height, width, 1)) < 0.5, (45.0, 46.0, 47.0), (215.0, 222.0, 230.0))
    colors = np.where(labels[..., None] == 1, walls, colors) * np.exp(rng.normal(0, 0.05, (height, width, 1)))
    chance = np.where(labels == 1, 0.45, 0.55)
    chance[:, : width // 6], chance[:, -width // 2 :] = 0.97, 0.03
    probs = torch.tensor(np.stack([1 - chance, chance]))[None].float()
    return torch.tensor(colors).permute(2, 0, 1)[None].float(), torch.tensor(labels), probs.log()


def test_a_class_of_many_colors_has_a_covariance_of_its_own():
    image, labels, log_probs = street()
    common, own = (apply_color_likelihood(log_probs, image, rounds=2, varied=v)[0] for v in (None, (False, True)))
    right = [float((found.argmax(0) == labels).float().mean()) for found in (common, own)]
    assert right[0] < 0.9 and right[1] > 0.97


def test_it_is_a_quadratic_discriminant_against_the_covariance_of_the_others():
    image, _, log_probs = scene()
    extra = torch.randn(1, 1, *image.shape[2:], generator=torch.Generator().manual_seed(0))
    log_probs = torch.cat([log_probs, extra], 1).log_softmax(1)
    got = apply_color_likelihood(log_probs, image, varied=(False, False, True))[0].flatten(1).numpy()
    levels = image[0].double().flatten(1).numpy()
    x = np.vstack([np.log(levels + 8), 1 - (levels.min(0) + 1) / (levels.max(0) + 1)]).T
    prior = log_probs[0].double().flatten(1).numpy()
    shares = np.exp(4 * prior)
    mass, means = shares.sum(1), shares @ x / shares.sum(1)[:, None]
    scatters = [(s[:, None] * (x - m)).T @ (x - m) for s, m in zip(shares, means, strict=True)]
    common = 0.9 * (scatters[0] + scatters[1]) / (mass[0] + mass[1]) + 0.1 * np.sum(scatters, 0) / mass.sum()
    known = mass / (mass + 0.01 * len(x))
    own = known[2] * scatters[2] / mass[2] + (1 - known[2]) * common
    covariances = [each + 1e-3 * np.eye(4) for each in (common, common, own)]
    density = np.stack([multivariate_normal(m, c).pdf(x) for m, c in zip(means, covariances, strict=True)])
    whole = mass / mass.sum() @ density
    joint = prior + np.log(known[:, None] * density + (1 - known[:, None]) * whole)
    expected = joint - np.logaddexp.reduce(joint, axis=0)
    np.testing.assert_allclose(got, expected, atol=5e-3, rtol=1e-3)


def test_where_none_or_all_classes_are_of_many_colors():
    image, _, log_probs = scene()
    plain, none, both = (apply_color_likelihood(log_probs, image, varied=v) for v in (None, [False] * 2, [True] * 2))
    torch.testing.assert_close(none, plain, atol=2e-3, rtol=1e-3)
    assert both.isfinite().all() and not torch.allclose(both, plain, atol=0.1)
    with pytest.raises(ValueError, match='varied is of 3 classes: expected the 2 of log_probs'):
        apply_color_likelihood(log_probs, image, varied=[True] * 3)


def test_a_class_of_many_colors_may_be_absent():
    image, _, log_probs = scene()
    absent = torch.full((1, 1, *image.shape[2:]), -40.0)
    got = apply_color_likelihood(torch.cat([log_probs, absent], 1), image, rounds=3, varied=(False, False, True))
    assert got.isfinite().all() and got[:, 2].exp().max() < 1e-3
    alone = torch.cat([log_probs - 40, torch.zeros_like(absent)], 1).log_softmax(1)
    got = apply_color_likelihood(alone, image, rounds=3, varied=(False, False, True))
    assert got.isfinite().all() and (got.argmax(1) == 2).all()


def predict(model, image, shape=None):
    """Predict one normalized image; ``shape`` is that of its part that is no padding."""
    preprocessor = model.data_preprocessor
    inputs = (image - preprocessor.mean) / preprocessor.std
    sample = SegDataSample(metainfo=dict(img_shape=shape or image.shape[2:], ori_shape=image.shape[2:]))
    with torch.no_grad():
        return model.predict(inputs, [sample])[0]


def test_a_segmentor_weighs_the_levels_of_the_image(build):
    model = build().eval()
    image, _, _ = scene()
    plain = predict(model, image)
    model.test_cfg = ConfigDict(mode='whole', color_likelihood=dict(weight=1.0, rounds=2))
    weighed = predict(model, image)
    expected = apply_color_likelihood(plain.seg_logits.data.log_softmax(0)[None], image, rounds=2)[0]
    torch.testing.assert_close(weighed.seg_logits.data, expected, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(weighed.seg_logits.data, plain.seg_logits.data.log_softmax(0), atol=1e-3)
    torch.testing.assert_close(weighed.pred_radius.data, plain.pred_radius.data)


def test_a_segmentor_leaves_padding_out(build):
    model = build().eval()
    image, _, _ = scene()
    plain = predict(model, image).seg_logits.data.log_softmax(0)[None]
    model.test_cfg = ConfigDict(mode='whole', color_likelihood=dict(weight=1.0))
    inside = torch.zeros(1, 1, 48, 64, dtype=torch.bool)
    inside[..., :32, :48] = True
    got = predict(model, image, shape=(32, 48)).seg_logits.data
    torch.testing.assert_close(got, apply_color_likelihood(plain, image, inside=inside)[0], atol=1e-3, rtol=1e-3)
