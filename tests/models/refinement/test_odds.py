"""A change of odds: what stays, what is fitted, and where a model applies it."""

import pytest
import torch
from mmengine.config import ConfigDict

from hyperbolic_seg.apis import load_model
from hyperbolic_seg.models.refinement import Odds, OddsChange, apply_odds, color_features, fit_odds
from hyperbolic_seg.sky.renderer import render_sky

NODES = ('clear sky', 'cloud')


def pixels(count=400):
    """Color features of random pixels, (4, P), and log odds of a model, (P,)."""
    generator = torch.Generator().manual_seed(0)
    levels = 255 * torch.rand(1, 3, count, 1, generator=generator)
    return color_features(levels)[0, :, :, 0].double(), 3 * torch.randn(count, generator=generator).double()


def test_other_kinds_and_the_two_together_stay_as_probable():
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(2, 3, 5, 6, generator=generator).log_softmax(1)
    levels = 255 * torch.rand(2, 3, 5, 6, generator=generator)
    change = OddsChange(NODES, 1.5, (0.2, -0.3, 0.1, 0.4), -0.5)
    found = apply_odds(log_probs, levels, Odds(change, (2, 0)))
    assert torch.equal(found[:, 1], log_probs[:, 1])
    torch.testing.assert_close(found.exp().sum(1), torch.ones(2, 5, 6))
    colors = torch.tensor(change.colors)[:, None, None, None] * color_features(levels).transpose(0, 1)
    torch.testing.assert_close(
        found[:, 0] - found[:, 2], 1.5 * (log_probs[:, 0] - log_probs[:, 2]) + colors.sum(0) - 0.5
    )


def test_a_fit_minimizes_what_it_says():
    features, log_odds = pixels()
    generator = torch.Generator().manual_seed(1)
    labels = (torch.rand(400, generator=generator) < 0.5).double()
    weights = torch.rand(400, generator=generator).double() / 100
    found = fit_odds(log_odds, features, labels, weights, nodes=NODES, ridge=0.3)
    center, spread = features.mean(1), features.std(1, correction=0)
    slopes = torch.tensor(found.colors).double() * spread
    offset = found.offset + (torch.tensor(found.colors).double() * center).sum()
    change = torch.cat([torch.tensor([found.scale - 1]).double(), slopes, offset[None]]).requires_grad_()
    columns = torch.cat(
        [log_odds.clamp(-8, 8)[None], (features - center[:, None]) / spread[:, None], torch.ones(1, 400)]
    )
    moved = columns[0] + change @ columns
    loss = -(weights * (labels * moved.sigmoid().log() + (1 - labels) * (-moved).sigmoid().log())).sum()
    (loss + 0.15 * change.square().sum()).backward()
    assert change.grad.abs().max() < 1e-4


def test_a_strong_ridge_changes_nothing_and_labels_of_colors_are_learned():
    features, log_odds = pixels()
    labels = (features[0] > features[2]).double()
    weights = torch.full((400,), 1 / 40)
    unchanged = fit_odds(log_odds, features, labels, weights, nodes=NODES, ridge=1e6)
    torch.testing.assert_close(unchanged.of(log_odds, features), log_odds.clamp(-8, 8), atol=1e-3, rtol=0)
    learned = fit_odds(log_odds, features, labels, weights, nodes=NODES, ridge=1e-2)
    right = ((learned.of(log_odds, features) > 0) == labels.bool()).double().mean()
    assert right > 0.9 > ((log_odds > 0) == labels.bool()).double().mean()


def test_what_cannot_be_fitted_or_changed_is_refused():
    features, log_odds = pixels(4)
    with pytest.raises(ValueError, match='got 0 pixels'):
        fit_odds(log_odds[:0], features[:, :0], log_odds[:0], log_odds[:0], nodes=NODES)
    with pytest.raises(ValueError, match='a positive ridge, got 4 pixels and 0'):
        fit_odds(log_odds, features, log_odds, log_odds, nodes=NODES, ridge=0)
    with pytest.raises(ValueError, match='expected two kinds'):
        OddsChange(('cloud', 'cloud'), 1.0, (0.0,) * 4, 0.0)


@pytest.fixture(scope='module')
def model():
    return load_model('hyperclip-unet-sky', device='cpu').model


@pytest.mark.parametrize('colors', [None, dict(weight=1.0)])
def test_a_segmentor_changes_the_odds_of_prompts_of_both_kinds_alone(model, colors, monkeypatch):
    monkeypatch.setattr(model, 'test_cfg', ConfigDict(mode='whole', color_likelihood=colors))
    sky = torch.from_numpy(render_sky(3, 64).image.copy()).permute(2, 0, 1)
    mean, std = (getattr(model.data_preprocessor, name) for name in ('mean', 'std'))
    image = ((sky - mean) / std)[None]

    def labels(*prompts, chunk=64):
        model.test_cfg['class_chunk'] = chunk
        model.set_vocabulary(prompts)
        with torch.no_grad():
            return model.predict(image)[0].pred_sem_seg.data

    few, three = labels('cirrus', 'stratus'), labels('clear sky', 'cumulus', 'stratus')
    assert (three == 0).any() and (three > 0).any()
    monkeypatch.setattr(model, 'odds_change', OddsChange(NODES, 1.0, (0.0,) * 4, 50.0))
    assert torch.equal(labels('cirrus', 'stratus'), few)
    found = labels('clear sky', 'cumulus', 'stratus')
    assert (found > 0).all() and torch.equal(found[three > 0], three[three > 0])
    assert torch.equal(labels('clear sky', 'cumulus', 'stratus', chunk=2), found)
