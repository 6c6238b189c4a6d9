"""Every kind of head under what MMEngine and MMSegmentation do around a model."""

import copy
from functools import cache
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS

from hyperbolic_seg.text import Concept, Vocabulary
from tests import tiny_heads
from tests.tiny_heads import BY_WORDS, HEADS, TRAINED

SKY = ['cumulus', 'clear sky', 'cirrus', 'sun', 'stratus', 'obstruction']  # of fewer kinds than words
SIZES = ((32, 32),) * 4
AVERAGE = dict(type='EMAHook', ema_type='ExponentialMovingAverage', momentum=0.25)
SLIDE = dict(mode='slide', crop_size=(32, 32), stride=(16, 16))


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    return tiny_heads.clip_folders(tmp_path_factory.mktemp('clip'))


@pytest.fixture
def build(folders):
    def builder(name, test_cfg=None, **head):
        return tiny_heads.build(name, folders, test_cfg, **head).eval()

    return builder


@torch.no_grad()
def predict(model, data, **test_cfg):
    """Predict a batch, which the model may keep."""
    model.test_cfg = ConfigDict(dict(mode='whole') | test_cfg)
    return model.test_step(copy.deepcopy(data))


def views_of(data):
    """Return three views of a batch, as TestTimeAug makes them: as it is, flipped, and smaller."""
    views = [copy.deepcopy(data) for _ in range(3)]
    for i, image in enumerate(data['inputs']):
        views[1]['inputs'][i] = image.flip(2)
        views[1]['data_samples'][i].set_metainfo(dict(flip=True, flip_direction='horizontal'))
        views[2]['inputs'][i] = image[:, ::2, ::2]
        views[2]['data_samples'][i].set_metainfo(dict(img_shape=tuple(image[0, ::2, ::2].shape)))
    return views


@torch.no_grad()
def predict_views(model, views, **test_cfg):
    model.test_cfg = ConfigDict(dict(mode='whole') | test_cfg)
    augmented = MODELS.build(dict(type='HyperCLIPTTAModel', module=model))
    return augmented.test_step({key: [view[key] for view in copy.deepcopy(views)] for key in views[0]})


def probabilities_of(sample, model):
    logits = sample.seg_logits.data
    return logits.exp() if model.decode_head.multilabel else logits.softmax(0)


def check_labels(found, probabilities, *, background=None):
    """Compare labels and confidence with those of probabilities (K, H, W)."""
    confidence, labels = (probabilities / probabilities.sum(0)).max(0)
    if background is not None:
        labels = labels.masked_fill(confidence < background['below'], 0)
    assert (found.pred_sem_seg.data[0] == labels).float().mean() > 0.995
    torch.testing.assert_close(found.pred_confidence.data[0], confidence, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        *((name, {}) for name in BY_WORDS),
        ('distance', SLIDE),
        ('distance', dict(guided=dict(radius=2))),
        ('cosine', dict(color_likelihood=dict(rounds=1))),
        ('mlr', dict(pamr=dict(steps=2, dilations=(1,)))),
        ('multilabel', dict(background=dict(name=tiny_heads.WORDS[0], below=0.26))),
        ('HyperCLIP', SLIDE | dict(whole_view=(32, 32))),
    ],
)
def test_views_are_averaged_as_probabilities(build, name, options):
    """By definition: the mean over views of what single views predict, for all classes at once and for some."""
    of_kinds = dict(taxonomy='sky', vocabulary=SKY) if 'color_likelihood' in options else {}
    model, data = build(name, **of_kinds), tiny_heads.batch((48, 64), (48, 64))
    views = views_of(data)
    single = [predict(model, view, **(options | dict(background=None))) for view in views]
    for chunk in (64, 5 if of_kinds else 3):
        found = predict_views(model, views, class_chunk=chunk, **options)
        for i, sample in enumerate(found):
            expected = torch.stack([probabilities_of(of_view[i], model) for of_view in single]).mean(0)
            check_labels(sample, expected, background=options.get('background'))
            radius = torch.stack([of_view[i].pred_radius.data for of_view in single]).mean(0)
            torch.testing.assert_close(sample.pred_radius.data, radius, rtol=1e-4, atol=1e-5)
            assert ('seg_logits' in sample) == (chunk == 64)
            if chunk == 64:
                torch.testing.assert_close(probabilities_of(sample, model), expected, rtol=1e-3, atol=1e-5)
            assert sample.classes == model.vocabulary.names
            assert torch.equal(sample.gt_sem_seg.data, data['data_samples'][i].gt_sem_seg.data)


def test_views_of_queries_are_averaged_before_the_most_similar_one_decides(build):
    """Phrases of one concept by themselves are concepts of a plain head with the same features."""
    phrases = ['a red barn', 'wet grass', 'two dogs', 'a white fence', 'a ship']
    owners = torch.tensor([0, 0, 1, 1, 2])
    model, plain = build('zero-shot'), build('zero-shot', queries='concept')
    model.set_vocabulary(
        Vocabulary([Concept(phrases[0], (phrases[1],)), Concept(phrases[2], (phrases[3],)), Concept(phrases[4])])
    )
    plain.set_vocabulary(phrases)
    views = views_of(tiny_heads.batch((48, 64)))
    mean = torch.stack([predict(plain, view)[0].seg_logits.data.softmax(0) for view in views]).mean(0)
    confidence, queries = mean.max(0)
    for chunk in (64, 2):
        (found,) = predict_views(model, views, class_chunk=chunk)
        assert (found.pred_sem_seg.data[0] == owners[queries]).float().mean() > 0.995
        torch.testing.assert_close(found.pred_confidence.data[0], confidence, rtol=1e-3, atol=1e-4)


def test_a_small_class_is_left_out_of_the_average(build):
    model, views = build('distance'), views_of(tiny_heads.batch((48, 64)))
    torch.nn.init.constant_(model.decode_head.log_scale, 4.0)  # logits far apart
    plain = predict_views(model, views)[0]
    areas = torch.bincount(plain.pred_sem_seg.data.flatten(), minlength=4) / (48 * 64)
    assert (areas > 0).sum() > 1
    share = areas[areas > 0].min().item()
    left_out = (areas > 0) & (areas <= share)
    expected = plain.seg_logits.data.masked_fill(left_out[:, None, None], -torch.inf).argmax(0)
    for chunk in (64, 3):
        (found,) = predict_views(model, views, min_area=share, class_chunk=chunk)
        assert (found.pred_sem_seg.data[0] == expected).float().mean() > 0.995


def test_other_segmentors_have_the_augmentation_of_mmsegmentation(folders):
    with pytest.raises(TypeError, match="got EncoderDecoder: set tta_model=dict\\(type='SegTTAModel'\\)"):
        MODELS.build(dict(type='HyperCLIPTTAModel', module=tiny_heads.config('hyperbolic MLR', folders)))


@pytest.mark.parametrize('name', BY_WORDS)
def test_images_of_several_sizes_are_predicted_as_each_alone(build, name):
    model, data = build(name), tiny_heads.batch((48, 64), (32, 40), (48, 64))
    for options in ({}, SLIDE, dict(class_chunk=3)):
        found = predict(model, data, **options)
        for i, sample in enumerate(found):
            (alone,) = predict(model, {key: values[i : i + 1] for key, values in data.items()}, **options)
            assert torch.equal(sample.pred_sem_seg.data, alone.pred_sem_seg.data)
            torch.testing.assert_close(sample.pred_confidence.data, alone.pred_confidence.data)
            assert sample.pred_sem_seg.data.shape == data['data_samples'][i].gt_sem_seg.data.shape


@pytest.mark.parametrize('name', sorted({*HEADS} - {*BY_WORDS}))
def test_mmsegmentation_refuses_images_of_several_sizes(build, name):
    with pytest.raises(AssertionError, match='The image size in a batch should be the same'):
        predict(build(name), tiny_heads.batch((48, 64), (32, 40)))


@pytest.mark.parametrize('name', BY_WORDS)
def test_no_image_has_no_prediction(build, name):
    assert build(name).predict(torch.zeros(0, 3, 32, 32), []) == []


@pytest.mark.parametrize('name', BY_WORDS)
def test_windows_are_averaged_as_by_mmsegmentation(build, name):
    model, inputs = build(name, SLIDE), torch.randn(2, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    metas = [dict(ori_shape=(48, 64), img_shape=(48, 64)) for _ in inputs]
    # The original allocates as many channels as the head has classes; encode_decode returns the radius beside them.
    original = SimpleNamespace(
        test_cfg=model.test_cfg, out_channels=model.out_channels + 1, encode_decode=model.encode_decode
    )
    with torch.no_grad():
        expected = EncoderDecoder.slide_inference(original, inputs, metas)
        torch.testing.assert_close(model.slide_inference(inputs, metas), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', sorted({*HEADS} - {*BY_WORDS}))
def test_mmsegmentation_averages_views_and_windows_of_other_heads(build, name):
    model, views = build(name), views_of(tiny_heads.batch((48, 64)))
    for options in ({}, SLIDE):
        single = [predict(model, view, **options)[0].seg_logits.data.softmax(0) for view in views]
        with torch.no_grad():
            (found,) = MODELS.build(dict(type='SegTTAModel', module=model)).test_step(
                {key: [view[key] for view in copy.deepcopy(views)] for key in views[0]}
            )
        assert (found.pred_sem_seg.data[0] == torch.stack(single).mean(0).argmax(0)).float().mean() > 0.995


class Recorder(BaseMetric):
    """Keep the confidence of every prediction."""

    def process(self, data_batch, data_samples):
        self.results += [sample['seg_logits']['data'] for sample in data_samples]

    def compute_metrics(self, results):
        self.seen = results
        return {}


class Weights(Hook):
    """Keep the weights of the start and of every iteration, before EMAHook touches them."""

    priority = 'VERY_HIGH'

    def __init__(self):
        self.seen = []

    def before_train(self, runner):
        self.seen.append({name: value.clone() for name, value in weights(runner).items()})

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.before_train(runner)


@pytest.fixture(scope='module')
def train(folders, tmp_path_factory):
    """Train a small model by a Runner, two images a step in all, and return the Runner."""

    def run(name, *, iterations=2, batch_size=2, hooks=(), validate=False, wrapper=None, **options):
        work_dir = tmp_path_factory.mktemp('run')
        data = tiny_heads.batch(*SIZES)
        items = [dict(inputs=i, data_samples=s) for i, s in zip(data['inputs'], data['data_samples'], strict=True)]
        loader = dict(dataset=items, batch_size=batch_size, num_workers=0)
        if validate:
            val_loader = dict(loader, sampler=dict(type='DefaultSampler', shuffle=False))
            options |= dict(val_dataloader=val_loader, val_cfg={}, val_evaluator=Evaluator(Recorder()))
        optimizer = dict(type='RiemannianSGD' if name == 'hyperbolic prototypes' else 'SGD', lr=0.05, momentum=0.9)
        runner = Runner(
            model=tiny_heads.config(name, folders),
            work_dir=str(work_dir),
            train_dataloader=dict(loader, sampler=dict(type='InfiniteSampler', shuffle=False)),
            train_cfg=dict(by_epoch=False, max_iters=iterations, val_interval=iterations),
            optim_wrapper=dict(optimizer=optimizer) | (wrapper or {}),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1, by_epoch=False), logger=None),
            custom_hooks=list(hooks),
            randomness=dict(seed=0),
            experiment_name=work_dir.name,
            log_level='ERROR',
            default_scope='mmseg',
            **options,
        )
        runner.train()
        return runner

    return run


@pytest.fixture(scope='module')
def whole(train):
    """The same run for several tests: two iterations, averaged, evaluated; and its weights after each."""

    @cache
    def run(name):
        seen = Weights()
        return train(name, hooks=[AVERAGE, seen], validate=True), seen.seen

    return run


def weights(runner):
    return {name: p.detach() for name, p in runner.model.named_parameters()}


def check_equal(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=lambda text, name=name: f'{name}: {text}', **tolerance)


@pytest.mark.parametrize('name', TRAINED)
def test_averaged_weights_are_saved_and_evaluated(whole, build, name):
    runner, (_, first, second) = whole(name)
    saved = torch.load(f'{runner.work_dir}/iter_2.pth', weights_only=False)
    share = AVERAGE['momentum']
    mean = {key: value + share * (second[key] - value) for key, value in first.items()}
    check_equal({key: saved['state_dict'][key] for key in mean}, mean)
    check_equal({key: saved['ema_state_dict'][f'module.{key}'] for key in mean}, second)
    check_equal(weights(runner), second)
    model = build(name)
    model.load_state_dict(saved['state_dict'])
    expected = predict(model, tiny_heads.batch(*SIZES))
    for logits, sample in zip(runner.val_evaluator.metrics[0].seen, expected, strict=True):
        torch.testing.assert_close(logits, sample.seg_logits.data, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', TRAINED)
def test_a_resumed_run_ends_where_the_whole_one_does(train, whole, name):
    runner, _ = whole(name)
    resumed = train(name, hooks=[AVERAGE], resume=True, load_from=f'{runner.work_dir}/iter_1.pth')
    found, expected = (torch.load(f'{run.work_dir}/iter_2.pth', weights_only=False) for run in (resumed, runner))
    for part in ('state_dict', 'ema_state_dict'):
        check_equal(found[part], expected[part], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('name', [name for name in TRAINED if name != 'hyperbolic MLR'])
def test_two_gradients_of_one_image_are_one_of_two(train, whole, name):
    """Not where the first batch is measured, which is one image then."""
    apart = train(name, iterations=2, batch_size=1, wrapper=dict(accumulative_counts=2))
    check_equal(weights(apart), whole(name)[1][1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', TRAINED)
def test_mixed_precision_takes_almost_the_same_step(train, whole, name):
    start, end, _ = whole(name)[1]
    half = weights(train(name, iterations=1, wrapper=dict(type='CPUAmpOptimWrapper')))
    full, half = (torch.cat([(after[key] - start[key]).flatten() for key in start]) for after in (end, half))
    assert torch.cosine_similarity(full, half, dim=0) > 0.9 and not torch.equal(full, half)


@pytest.mark.parametrize('name', ['distance', 'CAT-Seg', 'hyperbolic prototypes'])
def test_a_compiled_step_trains_the_same(train, whole, name):
    compiled = train(name, iterations=1, cfg=dict(compile=dict(backend='eager')))
    check_equal(weights(compiled), whole(name)[1][1], rtol=1e-4, atol=1e-5)
