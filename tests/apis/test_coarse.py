"""Predictions that are enlarged some rows at a time are those that MMSegmentation makes at once."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch.utils._python_dispatch import TorchDispatchMode

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.apis.coarse import is_local
from hyperbolic_seg.images import REDUCED_PIXELS, reduced_size
from hyperbolic_seg.models.refinement.bands import BAND
from tests.shrink import shrink

SIZE = (500, 900)  # several bands; the model sees it padded


def inferencer_of(config):
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match='randomly initialized'):
        return HyperSegInferencer(config, device='cpu')


@pytest.fixture(scope='module')
def shrunk(repository, tiny_sky, tmp_path_factory):
    def read(name):
        config = Config.fromfile(repository / 'configs' / f'{name}.py')
        return shrink(config, tiny_sky, tmp_path_factory.mktemp('work'))

    return read


@pytest.fixture(scope='module')
def words(shrunk):
    return inferencer_of(shrunk('hyperclip_unet_cloud'))


@pytest.fixture
def inferencer(words):
    """The model with its prompts and options of the test, as it was for every test."""
    options = words.model.test_cfg.copy()
    words.set_prompts(['clear sky', 'cumulus', 'cirrus', 'tree'])
    yield words
    words.model.test_cfg = options


def smooth_image(height, width):
    coarse = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    rows, columns = (np.linspace(0, side - 1, count).astype(int) for side, count in ((12, height), (16, width)))
    return np.ascontiguousarray(coarse[rows][:, columns])


def check_against_samples(inferencer, **options):
    """Compare a prediction in bands with the data sample of ``test_step``; return the prediction."""
    image = smooth_image(*SIZE)
    sample = inferencer.forward(inferencer.prepare(image), as_samples=True)[0]
    found = inferencer.predict_one(image, with_probabilities=True, **options)
    logits = sample.seg_logits.data
    expected = torch.cat([1 - logits, logits]) if len(logits) == 1 else logits.softmax(0)
    np.testing.assert_allclose(found['probabilities'], expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(found['confidence'], expected.amax(0).numpy(), atol=1e-5)
    labels = sample.pred_sem_seg.data[0].numpy()
    assert (found['labels'] != labels).mean() < 1e-4, 'rounding decides between equals alone'
    assert len(np.unique(labels)) > 1, 'of an image with one label nothing can be seen'
    if 'pred_radius' in sample:
        np.testing.assert_allclose(found['radius'], sample.pred_radius.data[0].numpy(), rtol=1e-4)
    alone = inferencer.predict_one(image, reduced=True)  # the image is small: nothing is reduced
    np.testing.assert_array_equal(alone['labels'], found['labels'])
    np.testing.assert_array_equal(alone['confidence'], found['confidence'])
    return found


def test_words_refined_by_edges_and_colors(inferencer):
    found = check_against_samples(inferencer, threshold=0.6)
    nodes = np.array(found['node_names'])[found['nodes']]
    sure = np.isin(nodes, found['classes']) & (found['confidence'] > 0.61)
    assert (nodes[sure] == np.array(found['classes'])[found['labels']][sure]).all()


def test_unsure_pixels_become_background(inferencer):
    confidence = np.median(inferencer.predict_one(smooth_image(*SIZE))['confidence'])
    inferencer.model.test_cfg.background = dict(name='tree', below=float(confidence))
    found = check_against_samples(inferencer)
    assert (found['labels'] == 3).mean() > 0.4


@pytest.mark.parametrize('classes', [2, 1])
def test_a_plain_model_of_mmsegmentation(shrunk, classes):
    config = shrunk('unet_cloud')
    if classes == 1:  # one output, of which a sigmoid decides between two classes
        loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
        head = config.model.decode_head
        inner = head.get('head', head)
        inner.update(num_classes=2, out_channels=1, threshold=0.5, loss_decode=loss)
        if inner is not head:
            config.model.decode_head = inner
    plain = inferencer_of(config)
    assert is_local(plain.model)
    assert check_against_samples(plain)['radius'] is None


class Largest(TorchDispatchMode):
    """Keeps the number of elements of the largest tensor that an operation makes."""

    elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        for each in found if isinstance(found, (tuple, list)) else (found,):
            if isinstance(each, torch.Tensor):
                self.elements = max(self.elements, each.numel())
        return found


def test_no_tensor_has_the_size_of_a_large_image(inferencer):
    batch = inferencer.prepare(smooth_image(2400, 2000))
    with Largest() as largest:
        prediction = inferencer.predict_prepared(batch, reduced=True)
    assert prediction['labels'].shape == (2400, 2000) and prediction['labels'].dtype == np.uint8
    assert largest.elements <= BAND < prediction['labels'].size


@pytest.mark.parametrize('min_area', [None, 1e-6])
def test_maps_of_a_large_image_have_the_same_means_when_reduced(inferencer, min_area):
    """With an option that needs all pixels at once as well, where the maps are averaged."""
    size = (1500, 1700)
    inferencer.model.test_cfg.min_area = min_area
    assert is_local(inferencer.model) == (min_area is None)
    image = smooth_image(*size)
    whole = inferencer.predict_one(image, with_probabilities=True, threshold=0.6)
    small = inferencer.predict_one(image, with_probabilities=True, threshold=0.6, reduced=True)
    height, width = reduced_size(*size)
    assert small['probabilities'].shape == (4, height, width) and height * width <= REDUCED_PIXELS
    for name in ('labels', 'nodes'):
        np.testing.assert_array_equal(small[name], whole[name])
    for name in ('confidence', 'radius'):
        assert small[name].shape == (height, width)
        assert small[name].mean() == pytest.approx(whole[name].mean(), rel=2e-4)
    np.testing.assert_allclose(small['probabilities'].mean((1, 2)), whole['probabilities'].mean((1, 2)), atol=2e-4)
    np.testing.assert_allclose(small['probabilities'].sum(0), 1, atol=1e-4)
    all_small = inferencer.predict_one(image, threshold=0.6, reduced=True, reduced_labels=True)
    for name in ('labels', 'nodes'):
        nearest = cv2.resize(whole[name], (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        assert (all_small[name] != nearest).mean() < 2e-3, 'they differ along edges alone'
    np.testing.assert_array_equal(all_small['confidence'], small['confidence'])


def test_a_large_vocabulary_keeps_its_chunks(inferencer):
    inferencer.model.test_cfg.update(color_likelihood=None, class_chunk=2)
    assert not is_local(inferencer.model)
    found = inferencer.predict_one(smooth_image(1500, 1700), reduced=True)
    assert found['labels'].shape == (1500, 1700) and found['confidence'].shape == reduced_size(1500, 1700)


def test_a_segmentor_that_replaces_a_step_of_mmsegmentation_is_left_alone(shrunk):
    plain = inferencer_of(shrunk('unet_cloud'))

    class Own(type(plain.model)):
        def postprocess_result(self, *args, **kwargs):
            return super().postprocess_result(*args, **kwargs)

    plain.model.__class__ = Own
    assert not is_local(plain.model)
