"""HyperSegInferencer: what it returns, writes and refuses."""

import csv
import warnings

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.files import images_in, output_names
from tests.shrink import shrink


@pytest.fixture(scope='module')
def config(repository, tiny_sky, tmp_path_factory):
    cfg = Config.fromfile(repository / 'configs' / 'hyperclip_unet_cloud.py')
    return shrink(cfg, tiny_sky, tmp_path_factory.mktemp('work'))


@pytest.fixture
def inferencer(config):
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match='randomly initialized'):
        return HyperSegInferencer(config.copy(), device='cpu')


def random_image(height=30, width=50):
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_labels_confidence_and_radius_have_the_size_of_the_image(inferencer, tmp_path):
    file = tmp_path / 'a.png'
    cv2.imwrite(str(file), random_image())
    words = ['clear sky', 'cumulus', 'a red balloon']
    result = inferencer([str(file), random_image(), random_image(44, 21)], prompts=words)
    assert set(result) == {'predictions'}
    first, second, third = result['predictions']
    assert first['classes'] == words
    assert first['labels'].dtype == np.uint8
    for key in ('labels', 'confidence', 'radius'):
        assert first[key].shape == (30, 50)
        assert third[key].shape == (44, 21)
        np.testing.assert_array_equal(first[key], second[key])
    assert (first['confidence'] >= 1 / 3 - 1e-6).all()
    assert (first['confidence'] <= 1).all()
    assert first['labels'].max() <= 2


def test_prompts_that_are_not_known_have_notes(inferencer):
    assert inferencer.notes == (), 'of the training'
    inferencer.set_prompts(['clear sky', 'wispy clouds', 'invoice', 'Haufenwolken', 'violin'])
    assert [note.split(' is not known here; nearest known: ')[0] for note in inferencer.notes] == [
        "'invoice'",
        "'violin'",
    ]
    inferencer.set_prompts(['clear sky', 'cirrus'])
    assert inferencer.notes == ()


def test_a_checkpoint_is_loaded_without_messages_of_a_training(config, inferencer, tmp_path, capfd):
    torch.save(inferencer.model.state_dict(), tmp_path / 'a.pth')
    assert config.visualizer.vis_backends, 'which need a work folder'
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        loaded = HyperSegInferencer(config.copy(), tmp_path / 'a.pth', device='cpu')
    assert capfd.readouterr() == ('', '') and loaded.visualizer is None
    one, other = (model(random_image())['predictions'][0]['confidence'] for model in (inferencer, loaded))
    np.testing.assert_array_equal(one, other)


def test_batches_give_what_single_images_give(inferencer):
    images = [random_image(), random_image(), random_image(36, 36), random_image(20, 64)]
    single = inferencer(images)['predictions']
    together = inferencer(images, batch_size=2)['predictions']
    for one, many in zip(single, together, strict=True):
        np.testing.assert_allclose(one['confidence'], many['confidence'], atol=1e-4)


def test_more_prompts_than_a_chunk_are_predicted(inferencer):
    words = [f'word {i}' for i in range(70)]
    inferencer.model.test_cfg.pop('color_likelihood')  # it tells few kinds apart
    found = inferencer(random_image(), prompts=words)['predictions'][0]
    assert found['classes'] == words and found['labels'].max() < 70
    for key in ('labels', 'confidence', 'radius'):
        assert found[key].shape == (30, 50)
    assert (found['confidence'] >= 1 / 70 - 1e-6).all() and (found['confidence'] <= 1).all()
    with pytest.raises(ValueError, match='need the probabilities of all 70 prompts'):
        inferencer(random_image(), prompts=words, threshold=0.6)


def test_prompts_hold_for_one_call(inferencer):
    own = inferencer.classes
    assert len(own) == 22
    assert inferencer(random_image(), prompts=['cloud', 'clear sky'])['predictions'][0]['classes'] == [
        'cloud',
        'clear sky',
    ]
    assert inferencer(random_image())['predictions'][0]['classes'] == own
    assert inferencer(random_image(), prompts='binary')['predictions'][0]['classes'] == ['clear sky', 'cloud']


def test_the_order_of_prompts_only_permutes_labels(inferencer):
    one = inferencer(random_image(), prompts=['clear sky', 'cumulus', 'stratus'])['predictions'][0]
    other = inferencer(random_image(), prompts=['stratus', 'clear sky', 'cumulus'])['predictions'][0]
    np.testing.assert_allclose(one['confidence'], other['confidence'], atol=1e-5)
    assert ((one['labels'] + 1) % 3 == other['labels']).mean() > 0.99


def test_results_are_data_samples_or_files(inferencer, tmp_path):
    sample = inferencer(random_image(), return_datasamples=True)['predictions'][0]
    assert sample.pred_radius.data.shape == (1, 30, 50)
    inferencer([random_image(), random_image()], prompts=['cloud', 'clear sky'], out_dir=tmp_path / 'out')
    rows = list(csv.DictReader((tmp_path / 'out' / 'summary.csv').open()))
    assert len(rows) == 2
    assert float(rows[0]['fraction cloud']) + float(rows[0]['fraction clear sky']) == pytest.approx(1, abs=1e-3)
    assert len(list((tmp_path / 'out' / 'labels').iterdir())) == 2
    with pytest.raises(ValueError, match='leave out return_datasamples'):
        inferencer(random_image(), return_datasamples=True, out_dir=tmp_path)


@pytest.mark.parametrize(
    'image, message',
    [
        (np.zeros((5, 5), np.uint8), r'BGR array, got uint8 \(5, 5\)'),
        (np.zeros((5, 5, 3), np.float32), 'BGR array, got float32'),
        (7, 'BGR array, got 7'),
    ],
)
def test_values_that_are_no_image_are_refused(inferencer, image, message):
    with pytest.raises(ValueError, match=message):
        inferencer(image)


def test_a_plain_model_takes_no_prompts(repository, tiny_sky, tmp_path):
    cfg = shrink(Config.fromfile(repository / 'configs' / 'unet_cloud.py'), tiny_sky, tmp_path)
    with pytest.warns(UserWarning, match='randomly initialized'):
        plain = HyperSegInferencer(cfg, device='cpu')
    prediction = plain(random_image())['predictions'][0]
    assert prediction['radius'] is None
    assert prediction['classes'] == [f'class {i}' for i in range(12)]
    plain.model.dataset_meta = dict(classes=['clear sky', 'Cu'], palette=[[1, 2, 3], [4, 5, 6]])
    concepts = [(concept.phrases, concept.ancestors, concept.color) for concept in plain.vocabulary]
    assert concepts == [(('clear sky',), (), (1, 2, 3)), (('Cu',), (), (4, 5, 6))], 'no words beside the names'
    with pytest.raises(ValueError, match='has fixed classes: prompts need a HyperCLIPSegmentor'):
        plain(random_image(), prompts=['cloud', 'clear sky'])


@pytest.mark.parametrize('loader', ['LoadVerifiedImage', 'LoadImageFromFile'])
def test_an_image_is_decoded_once(config, tmp_path, loader):
    config = config.copy()
    config.test_dataloader.dataset.pipeline[0] = dict(type=loader)
    torch.manual_seed(0)
    with pytest.warns(UserWarning, match='randomly initialized'):
        inferencer = HyperSegInferencer(config, device='cpu')
    cv2.imwrite(str(tmp_path / 'a.png'), random_image())
    of_file, of_array = (inferencer.predict_one(image) for image in (str(tmp_path / 'a.png'), random_image()))
    np.testing.assert_array_equal(of_file['labels'], of_array['labels'])
    assert of_array['labels'].shape == (30, 50)


def test_the_vocabulary_is_that_of_the_head(inferencer):
    inferencer.set_prompts(['Cu', 'a red balloon'])
    head = inferencer.model.decode_head
    assert inferencer.vocabulary is head.vocabulary
    assert head.vocabulary[0].lineage == ('cumulus', 'low cloud', 'cloud', 'everything'), 'completed by its taxonomy'
    head.set_vocabulary(['clear sky', 'sun'])
    assert inferencer.vocabulary.names == ('clear sky', 'sun')


def test_outputs_have_distinct_names(tmp_path):
    assert output_names(['a/x.jpg', 'b/y.jpg']) == ['x', 'y']
    assert output_names(['a/x.jpg', 'b/x.jpg', 'b/y.jpg']) == ['a__x.jpg', 'b__x.jpg', 'y']
    assert output_names(['x.jpg', 'x.png']) == ['x.jpg', 'x.png']
    with pytest.raises(FileNotFoundError, match='no image in'):
        images_in(tmp_path)


def test_a_threshold_gives_the_deepest_node_that_passes_it(inferencer, tmp_path):
    plain = inferencer(random_image())['predictions'][0]
    assert 'nodes' not in plain
    words = ['cirrus', 'cirrostratus', 'altocumulus', 'a red balloon']
    found = inferencer(random_image(), prompts=words, threshold=0.6, out_dir=tmp_path)['predictions'][0]
    names = found['node_names']
    assert names[-1] == 'a red balloon' and len(names) == 30
    assert found['nodes'].shape == (30, 50)
    sure = found['confidence'] >= 0.6
    leaves = np.array([names.index(word) for word in words])[found['labels']]
    np.testing.assert_array_equal(found['nodes'][sure], leaves[sure])
    assert not np.isin(found['nodes'][~sure], leaves).any()
    row = next(csv.DictReader((tmp_path / 'summary.csv').open()))
    assert sum(float(row[f'sure of {name}']) for name in names) == pytest.approx(1, abs=0.01)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'nodes' / 'array_0000.png'), -1), found['nodes'])
    with pytest.raises(ValueError, match='expected more than 0.5'):
        inferencer(random_image(), threshold=0.5)
    inferencer.model.decode_head.taxonomy = None
    inferencer.model.test_cfg['color_likelihood'].pop('varied')  # nodes of the taxonomy that is gone
    with pytest.raises(ValueError, match='a threshold is for models with a taxonomy'):
        inferencer(random_image(), threshold=0.6)
