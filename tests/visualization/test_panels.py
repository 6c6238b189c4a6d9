import cv2
import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from hyperbolic_seg.visualization import HyperSegVisualizer, blend, color_labels, color_values, legend, panel

PALETTE = [[255, 0, 0], [0, 0, 255]]


def test_labels_get_their_colors_and_ignored_pixels_none():
    labels = np.array([[0, 1, 255]])
    assert color_labels(labels, PALETTE).tolist() == [[[255, 0, 0], [0, 0, 255], [0, 0, 0]]]
    image = np.full((1, 3, 3), 100, np.uint8)
    assert blend(image, labels, PALETTE).tolist() == [[[178, 50, 50], [50, 50, 178], [100, 100, 100]]]


def test_every_level_is_blended_with_every_color_as_rounding_to_even_does():
    levels, labels = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    palette = [[color, 255 - color, color // 2] for color in range(256)]
    blended = blend(np.dstack([levels] * 3), labels, palette)
    np.testing.assert_array_equal(blended, (levels[..., None] * 0.5 + np.array(palette)[labels] * 0.5).round())


def test_the_bands_of_a_large_image_are_blended_as_one_is():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (700, 1100, 3), dtype=np.uint8)
    labels = random.integers(0, 3, image.shape[:2], dtype=np.uint8)
    blended = blend(image, labels, PALETTE, opacity=0.25)
    expected = image * 0.75 + np.array([*PALETTE, [0, 0, 0]])[labels] * 0.25
    np.testing.assert_array_equal(blended, np.where((labels < 2)[..., None], expected.round(), image))


def test_values_go_from_dark_to_bright():
    painted = color_values(np.array([[0.0, 1.0, 2.0]])).astype(int).sum(-1)[0]
    assert painted[0] < painted[1] < painted[2]
    assert color_values(np.ones((2, 2))).shape == (2, 2, 3)


def test_a_legend_shows_every_color_at_any_width():
    many = [[10 * i, 255 - 10 * i, 77] for i in range(15)]
    for width in (240, 900):
        drawn = legend([f'class {i}' for i in range(15)], many, width, notes=['a note'], scale=('share', 0, 1))
        assert drawn.shape[1] == width
        shown = {tuple(color) for color in drawn.reshape(-1, 3).tolist()}
        assert {tuple(color) for color in many} <= shown


def test_a_panel_holds_images_of_different_sizes():
    wide, tall = np.full((50, 100, 3), 9, np.uint8), np.full((80, 40, 3), 200, np.uint8)
    drawn = panel([('wide', wide), ('tall', tall)], height=40)
    assert drawn.shape[1] == 8 + 80 + 8 + 20 + 8
    assert {(9, 9, 9), (200, 200, 200)} <= {tuple(color) for color in drawn.reshape(-1, 3).tolist()}


def test_the_visualizer_draws_the_words_of_the_sample(tmp_path):
    visualizer = HyperSegVisualizer(name='panels-test')
    visualizer.dataset_meta = dict(classes=('clear sky', 'cloud'), palette=PALETTE)
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=torch.zeros(1, 8, 8, dtype=torch.long)),
        pred_sem_seg=PixelData(data=torch.ones(1, 8, 8, dtype=torch.long)),
        pred_confidence=PixelData(data=torch.rand(1, 8, 8)),
        pred_radius=PixelData(data=torch.rand(1, 8, 8)),
        metainfo=dict(classes=('a', 'b', 'c'), palette=[[1, 2, 3], [4, 250, 6], [7, 8, 9]]),
    )
    image = np.zeros((8, 8, 3), np.uint8)
    visualizer.add_datasample('x', image, sample, out_file=str(tmp_path / 'x.png'))
    drawn = cv2.imread(str(tmp_path / 'x.png'))[..., ::-1]
    shown = {tuple(color) for color in drawn.reshape(-1, 3).tolist()}
    assert {(255, 0, 0), (4, 250, 6), (1, 2, 3)} <= shown  # truth in the data set's colors, prediction in its own
    assert visualizer.draw(image, None).shape[1] < drawn.shape[1]
    del sample.pred_radius
    assert (visualizer.draw(image, sample) == drawn).all(), 'the radius is not drawn'
