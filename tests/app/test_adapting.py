"""Adaptations are judged by colors and by labels held out, and statistics that were tried are restored."""

import cv2
import numpy as np
import pytest
import torch

from hyperbolic_seg.apis import load_model
from hyperbolic_seg.app import adapting
from hyperbolic_seg.app.adapting import adapt, camera_statistics, check, spread
from hyperbolic_seg.app.labeled_pixels import (
    NODES,
    Judged,
    Sample,
    confusion,
    decide,
    fit,
    judge,
    rises,
    sample_of,
    see,
)
from hyperbolic_seg.models.refinement import OddsChange
from hyperbolic_seg.sky.renderer import render_sky


@pytest.fixture(scope='module')
def model():
    return load_model('hyperclip-unet-sky', device='cpu')


def pictures(folder, *, sizes=((64, 64),) * 3):
    files = []
    for number, (height, width) in enumerate(sizes):
        files.append(str(folder / f'{number}.png'))
        sky = render_sky(number, max(height, width)).image[:height, :width]
        assert cv2.imwrite(files[-1], sky)
    return files


def samples(count, *, confused=False, seed=0):
    """Pixels of pictures in which red tells cloud; the model takes it for clear sky, or is right."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(count):
        features = torch.randn(4, 200, generator=generator)
        labels = (features[2] > 0).float()
        found.append(Sample((2 * labels - 1) * (-1 if confused else 1), features, labels))
    return found


def test_held_out_labels_tell_a_gain_from_a_loss():
    wrong, right = samples(6, confused=True), samples(6)
    gain = judge(wrong, wrong)
    assert gain.before == 0 and gain.after > 0.9
    assert judge(right, right).before == 1
    noise = [each._replace(labels=torch.randint(0, 2, (200,)).float()) for each in samples(6, seed=1)]
    assert abs(judge(noise, noise).after - judge(noise, noise).before) < 0.2
    assert judge(wrong[:1], wrong[:1]) is None
    assert np.array_equal(confusion(right, None), confusion(right, OddsChange(NODES, 1.0, (0.0,) * 4, 0.0)))


def test_what_is_taken_betters_what_is_plainer_beyond_chance():
    gain, chance = np.array([0.2, 0.25, 0.2]), np.array([0.3, -0.25, 0.02])
    plain, moved = Judged(0.5, 0.7, gain), Judged(0.5, 0.72, gain + 0.02)
    assert decide([plain, moved]) == 1 and decide([moved, plain]) == 0
    assert decide([plain, moved._replace(gains=gain + chance)]) == 0
    assert decide([plain._replace(gains=chance)]) is None
    assert decide([plain._replace(after=0.5)]) is None and decide([]) is None


def test_a_click_counts_less_than_a_mask():
    masks, click = samples(1), Sample(torch.tensor([1.0]), torch.zeros(4, 1), torch.tensor([0.0]))
    alone = fit([click])
    full = fit([Sample(*(part.expand(*part.shape[:-1], 200) for part in click))])
    assert full.offset < alone.offset < 0
    assert fit([*masks, click]).scale > 0


def test_an_agreement_has_to_rise_beyond_chance():
    assert rises(np.array([0.02, 0.03, 0.02, np.nan]))
    assert not rises(np.array([0.1, -0.08, 0.01, np.nan]))
    assert not rises(np.array([0.1]))


def test_statistics_are_those_of_the_camera_and_undone(model, tmp_path):
    files = pictures(tmp_path)
    check(model)
    state = {name: value.clone() for name, value in model.model.state_dict().items()}
    with camera_statistics(model, files, 1.0) as found:
        assert all(torch.equal(model.model.state_dict()[name], value) for name, value in found.items())
        assert all(name.startswith('backbone.encoder.') for name in found)
        assert not torch.equal(found['backbone.encoder.bn1.running_mean'], state['backbone.encoder.bn1.running_mean'])
    assert all(torch.equal(value, state[name]) for name, value in model.model.state_dict().items())
    odd = pictures(tmp_path, sizes=((64, 64), (40, 64)))
    with pytest.raises(ValueError, match='of several shapes, as the model sees them'), camera_statistics(model, odd):
        pass
    assert spread(list('abcd') * 30)[::47] == ['a', 'd'] and spread(['a', 'b']) == ['a', 'b']


def test_pixels_are_those_that_a_prediction_shows(model, tmp_path):
    (file,) = pictures(tmp_path, sizes=((50, 64),))
    check(model)
    seen, mask = see(model, file), np.full((50, 64), 255, np.uint8)
    labels = model.predict_one(file)['labels']
    mask[10:40, 20:30] = labels[10:40, 20:30]
    sample = sample_of(seen, mask, 0)
    assert seen.size == (50, 64) and len(sample.labels) == 300 and sample.features.shape == (4, 300)
    assert ((sample.log_odds > 0) == sample.labels.bool()).float().mean() > 0.9


def test_without_labels_the_colors_decide_and_nothing_is_claimed(model, tmp_path):
    files = pictures(tmp_path, sizes=((64, 64),) * 2)
    try:
        report = adapt(model, files, {}).report
    except ValueError as error:
        assert 'the colors agree no more with the model (0.' in ' '.join(str(error).split())
    else:
        assert report['held_out'] is None and report['agreement'][1] > report['agreement'][0]
    for file in files:
        assert cv2.imwrite(file, np.zeros((64, 64, 3), np.uint8))
    with pytest.raises(ValueError, match='no picture has a color'):
        adapt(model, files, {})


def labels_of(model, files):
    """The predictions of a model as labels of its pictures."""
    check(model)
    masks = {file: model.predict_one(file)['labels'].astype(np.uint8) for file in files}
    return {file: lambda size, mask=mask: mask for file, mask in masks.items()}


@pytest.mark.parametrize('count', [1, 3])
def test_statistics_are_taken_by_the_colors_where_labels_are_too_few(model, tmp_path, monkeypatch, count):
    files = pictures(tmp_path)
    labels = {file: mask for file, mask in [*labels_of(model, files).items()][:count]}
    shares = iter([np.array([0.8, 0.81, 0.8]), np.array([0.9, 0.9, 0.91])])
    monkeypatch.setattr(adapting, 'agreement', lambda seen: next(shares))
    monkeypatch.setattr(adapting, 'confusion', lambda samples, change: np.eye(2))
    outcome = adapt(model, files, labels)
    assert outcome.adaptation.odds is None and outcome.adaptation.statistics
    assert outcome.report['labeled'] == count and outcome.report['held_out'] == [1.0, 1.0]
    assert outcome.report['agreement'] == pytest.approx([0.8033, 0.9033], abs=1e-4)


def test_one_labeled_picture_and_colors_that_agree_no_more_are_refused(model, tmp_path):
    files = pictures(tmp_path)
    assert cv2.imwrite(files[0], np.zeros((64, 64, 3), np.uint8))
    mask = (np.arange(64 * 64, dtype=np.uint8) % 2).reshape(64, 64)
    with pytest.raises(ValueError, match='one picture is labeled: with none to hold out'):
        adapt(model, files[:1], {files[0]: lambda size: mask})


def test_labels_that_speak_against_statistics_have_the_last_word(model, tmp_path, monkeypatch):
    files = pictures(tmp_path)
    labels = labels_of(model, files)  # which the model has as it is, so that any change makes them worse
    shares = iter([np.array([0.8, 0.81, 0.8]), np.array([0.9, 0.9, 0.91])])
    monkeypatch.setattr(adapting, 'agreement', lambda seen: next(shares))
    with pytest.raises(ValueError, match='the statistics of the pictures lower the mean IoU of the labels'):
        adapt(model, files, labels)
