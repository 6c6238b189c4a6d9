import numpy as np
import pytest
import torch
from mmseg.registry import METRICS
from PIL import Image

from hyperbolic_seg.sky import GroundCloudDataset

PIPELINE = [dict(type='LoadVerifiedImage'), dict(type='LoadVocabularyAnnotations')]


@pytest.fixture
def root(tmp_path):
    """Three images: a binary one, one with genera, one with a wrong id."""
    for folder in ('images', 'masks', 'splits'):
        (tmp_path / folder).mkdir()
    masks = dict(binary=[[0, 1, 255]], genera=[[0, 13, 18]], wrong=[[0, 77, 1]])
    for stem, mask in masks.items():
        labels = np.repeat(np.repeat(np.array(mask, np.uint8), 20, 0), 10, 1)
        Image.fromarray(labels).save(tmp_path / 'masks' / f'{stem}.png')
        Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(tmp_path / 'images' / f'{stem}.jpg')
    (tmp_path / 'splits' / 'train.txt').write_text('genera\nbinary\n\n')
    return tmp_path


def build(root, **kwargs):
    return GroundCloudDataset(data_root=str(root), pipeline=PIPELINE, **kwargs)


def label_row(dataset, index):
    return dataset[index]['gt_seg_map'][0, ::10].tolist()


def test_binary_masks_have_two_classes_and_an_ignore_value(root):
    dataset = build(root)
    assert dataset.metainfo['classes'] == ('clear sky', 'cloud')
    assert len(dataset.metainfo['palette']) == 2
    assert [dataset.get_data_info(i)['img_path'][-10:] for i in range(3)] == ['binary.jpg', 'genera.jpg', '/wrong.jpg']
    assert label_row(dataset, 0) == [0, 1, 255]


def test_a_split_is_a_list_of_stems(root):
    dataset = build(root, ann_file='splits/train.txt', vocabulary='sky')
    assert len(dataset) == 2
    assert dataset[0]['img_path'].endswith('genera.jpg')
    assert dataset[0]['img'].shape == (20, 30, 3)
    assert label_row(dataset, 0) == [0, 13, 18]
    assert label_row(dataset, 1) == [0, 1, 255]


@pytest.mark.parametrize(
    'classes, genera, binary',
    [
        (['clear sky', 'cloud'], [0, 1, 255], [0, 1, 255]),
        (['cloud', 'clear sky'], [1, 0, 255], [1, 0, 255]),
        (['cloud'], [255, 0, 255], [255, 0, 255]),
        (['clear sky', 'low cloud', 'not sky'], [0, 1, 2], [0, 255, 255]),
        ('genera', [0, 9, 11], [0, 255, 255]),
    ],
)
def test_a_subset_of_classes_takes_each_label_to_its_nearest_ancestor(root, classes, genera, binary):
    dataset = build(root, ann_file='splits/train.txt', vocabulary='sky', metainfo=dict(classes=classes))
    assert label_row(dataset, 0) == genera
    assert label_row(dataset, 1) == binary
    assert len(dataset.metainfo['palette']) == len(dataset.metainfo['classes'])


def test_images_without_labels_are_loaded(root):
    dataset = GroundCloudDataset(data_root=str(root), data_prefix=dict(img_path='images'), pipeline=PIPELINE[:1])
    assert len(dataset) == 3
    assert 'seg_map_path' not in dataset.get_data_info(0)


def test_a_value_outside_the_classes_is_named_with_its_file(root):
    with pytest.raises(ValueError, match=r'wrong.png holds the values \[77\]: expected class ids 0 to 1, or 255'):
        build(root)[2]
    with pytest.raises(ValueError, match=r'genera.png holds the values \[13, 18\]'):
        build(root)[1]


def test_a_mask_of_another_size_is_named(root):
    Image.fromarray(np.zeros((20, 29), np.uint8)).save(root / 'masks' / 'binary.png')
    with pytest.raises(ValueError, match=r'binary.png is 29 x 20, its image .*binary.jpg is 30 x 20'):
        build(root)[0]


@pytest.mark.parametrize('content', [b'', b'not an image', b'\xff\xd8\xff\xe0 cut short'])
@pytest.mark.parametrize('file', ['images/binary.jpg', 'masks/binary.png'])
def test_an_unreadable_file_is_named(root, file, content):
    (root / file).write_bytes(content)
    with pytest.raises(ValueError, match=f'{file} is not a readable'):
        build(root)[0]


def test_a_color_mask_is_named(root):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(root / 'masks' / 'binary.png')
    with pytest.raises(ValueError, match='binary.png has 3 channels: a label file has one'):
        build(root)[0]


def test_missing_files_are_named_at_the_start(root):
    (root / 'masks' / 'wrong.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 6 files of the split are missing: .*wrong.png'):
        build(root)
    (root / 'splits' / 'train.txt').write_text('binary\n' + ''.join(f'lost{i}\n' for i in range(9)))
    with pytest.raises(FileNotFoundError, match=r'18 of 20 files .*lost0.jpg.* and 13 more.*img_suffix'):
        build(root, ann_file='splits/train.txt')


def test_missing_folders_splits_and_classes_are_named(root, tmp_path):
    with pytest.raises(FileNotFoundError, match='the image folder .* does not exist'):
        build(root, data_prefix=dict(img_path='frames', seg_map_path='masks'))
    with pytest.raises(FileNotFoundError, match='split .*test.txt does not exist'):
        build(root, ann_file='splits/test.txt')
    (root / 'splits' / 'empty.txt').write_text('\n')
    with pytest.raises(ValueError, match='no sample in .*empty.txt'):
        build(root, ann_file='splits/empty.txt')
    with pytest.raises(ValueError, match='no sample in .*suffix .bmp'):
        build(root, img_suffix='.bmp')
    with pytest.raises(ValueError, match="'hail' is not in the vocabulary"):
        build(root, metainfo=dict(classes=['hail']))


def test_sixteen_bit_ids_are_kept(root):
    names = [f'class {i}' for i in range(400)]
    Image.fromarray(np.full((20, 30), 399, np.uint16)).save(root / 'masks' / 'binary.png')
    dataset = build(root, vocabulary=names, ignore_index=65535)
    assert dataset[0]['gt_seg_map'].max() == 399


def test_swimseg_is_loaded(real_data):
    dataset = GroundCloudDataset(data_root=str(real_data / 'swimseg'), pipeline=PIPELINE)
    assert len(dataset) == 776
    sample = dataset[0]
    assert sample['img'].shape == (600, 600, 3)
    assert set(np.unique(sample['gt_seg_map'])) <= {0, 1, 255}


def test_sixteen_bit_masks_hold_more_than_255_classes(tmp_path):
    """Sixteen-bit label files, in which the last number is that of pixels to ignore."""
    words = [f'thing {i}' for i in range(847)]
    for folder in ('images', 'masks'):
        (tmp_path / folder).mkdir()
    labels = np.arange(900, dtype=np.uint16).reshape(30, 30).clip(max=846)
    labels[0, 0] = 65535
    Image.fromarray(labels).save(tmp_path / 'masks' / '0.png')
    Image.fromarray(np.zeros((30, 30, 3), np.uint8)).save(tmp_path / 'images' / '0.jpg')
    pipeline = [*PIPELINE, dict(type='PackSegInputs')]
    dataset = GroundCloudDataset(data_root=str(tmp_path), vocabulary=words, ignore_index=65535, pipeline=pipeline)
    truth = dataset[0]['data_samples'].gt_sem_seg.data
    assert torch.equal(truth[0], torch.from_numpy(labels.astype(np.int64)))
    metric = METRICS.build(dict(type='IoUMetric', ignore_index=65535))
    metric.dataset_meta = dataset.metainfo
    found = truth.clone()
    found[0, 0, 0] = 0  # whatever is said of an ignored pixel
    metric.process({}, [dict(pred_sem_seg=dict(data=found), gt_sem_seg=dict(data=truth))])
    assert metric.compute_metrics(metric.results)['aAcc'] == 100


def test_masks_of_sky_against_not_sky_are_read_as_they_are(root):
    meaning = {0: ['clear sky', 'cloud'], 1: 'obstruction', 255: 'outside the lens'}
    options = dict(vocabulary='sky', meaning=meaning)
    assert label_row(build(root, **options), 0) == [126, 18, 19]
    binary = dict(metainfo=dict(classes=['clear sky', 'cloud', 'not sky']), **options)
    assert label_row(build(root, **binary), 0) == [255, 2, 2], 'single classes cannot say it'
