import numpy as np
import pytest

from hyperbolic_seg.sky import ProceduralSkyDataset
from hyperbolic_seg.sky.renderer import render_sky

PIPELINE = [dict(type='LoadVerifiedImage'), dict(type='LoadVocabularyAnnotations')]


def test_it_renders_what_the_generator_does():
    dataset = ProceduralSkyDataset(4, first_seed=20, image_size=48, pipeline=PIPELINE)
    assert len(dataset) == 4
    for i in (3, 0):
        rendered, sample = render_sky(20 + i, 48), dataset[i]
        np.testing.assert_array_equal(sample['img'], rendered.image)
        np.testing.assert_array_equal(sample['gt_seg_map'], rendered.labels)
        assert sample['ori_shape'] == (48, 48)


def test_classes_and_scenes_can_be_chosen():
    dataset = ProceduralSkyDataset(
        5,
        image_size=(32, 40),
        scene=dict(camera='planar', genera=['cumulus']),
        metainfo=dict(classes=['clear sky', 'cloud']),
        pipeline=PIPELINE,
    )
    values = set()
    for sample in dataset:
        assert sample['img'].shape == (32, 40, 3)
        values |= set(np.unique(sample['gt_seg_map']).tolist())
    assert 1 in values
    assert values <= {0, 1, 255}


@pytest.mark.parametrize('settings', [dict(num_images=0), dict(num_images=3, first_seed=-1)])
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match='num_images=0: expected at least 1|first_seed=-1: expected at least 0'):
        ProceduralSkyDataset(**settings)
