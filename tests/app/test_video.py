"""Labeled videos."""

import os

import av
import cv2
import numpy as np
import pytest

from hyperbolic_seg.app.video import VideoWriter

PALETTE = [[255, 0, 0], [0, 0, 255]]


def prediction(name, shape, *, share, **more):
    """Image, prediction and record, as on_prediction of predict_files gets them; the upper part is the first class."""
    labels = np.ones(shape, np.uint8)
    labels[: round(share * shape[0])] = 0
    record = dict(image=f'{name}.png', fractions=dict(red=share, blue=1 - share)) | more
    return np.full((*shape, 3), 120, np.uint8), dict(labels=labels, classes=['red', 'blue'], palette=PALETTE), record


def frames(file):
    with av.open(str(file)) as video:
        assert video.streams.video[0].codec_context.name == 'h264'
        return float(video.streams.video[0].average_rate), [f.to_ndarray(format='rgb24') for f in video.decode(video=0)]


def reddish(frame, height=80):
    """Share of red among what is red or blue in the right image, below its title."""
    right = frame[22 : 22 + height, frame.shape[1] // 2 :].astype(int)
    red = (right[..., 0] - right[..., 2] > 60).sum()
    return red / (red + (right[..., 2] - right[..., 0] > 60).sum())


def test_frames_are_ordered_by_time(tmp_path):
    file = tmp_path / 'made' / 'day.mp4'
    with VideoWriter(file, frames_per_second=12.5, height=80) as writer:
        writer.add(*prediction('a', (60, 80), share=0.75, time='2024-07-17T10:00:00+02:00'))
        writer.add(*prediction('b', (60, 80), share=0.25, time='2024-07-17T07:30:00+00:00'))
        assert writer.write() == 2
    rate, images = frames(file)
    assert rate == 12.5 and [reddish(image) for image in images] == pytest.approx([0.25, 0.75], abs=0.05)
    assert [path.name for path in file.parent.iterdir()] == ['day.mp4']


def test_frames_keep_their_order_if_an_image_has_no_time(tmp_path):
    with VideoWriter(tmp_path / 'day.mp4', height=80) as writer:
        writer.add(*prediction('a', (60, 80), share=0.75, time='2024-07-17T10:00:00+02:00'))
        writer.add(*prediction('b', (60, 80), share=0.25, time=None))
        writer.add(*prediction('c', (60, 80), share=0.5, time='2024-07-17T07:30:00+00:00'))
        writer.write()
    assert [reddish(image) for image in frames(tmp_path / 'day.mp4')[1]] == pytest.approx([0.75, 0.25, 0.5], abs=0.05)


def test_images_of_other_sizes_are_fitted_into_the_first(tmp_path):
    with VideoWriter(tmp_path / 'all.mkv', height=80) as writer:
        for number, shape in enumerate([(61, 81), (30, 200), (90, 20)]):
            writer.add(*prediction(str(number), shape, share=0.5))
        writer.write()
    images = frames(tmp_path / 'all.mkv')[1]
    assert len({image.shape for image in images}) == 1 and len(images) == 3
    assert [reddish(image) for image in images] == pytest.approx([0.5] * 3, abs=0.1)


def test_an_unsupported_suffix_and_a_video_without_frames_are_errors(tmp_path):
    with pytest.raises(ValueError, match=r'expected a suffix of \.mp4'):
        VideoWriter(tmp_path / 'day.gif')
    with VideoWriter(tmp_path / 'day.mp4') as writer, pytest.raises(ValueError, match='expected at least one image'):
        writer.write()
    assert not list(tmp_path.iterdir())


def test_a_frame_that_cannot_be_stored_is_an_error_of_the_video_alone(tmp_path):
    (tmp_path / 'file').write_bytes(b'')
    with VideoWriter(tmp_path / 'file' / 'day.mp4') as writer:
        writer.add(*prediction('a', (60, 80), share=0.5))
        writer.add(*prediction('b', (60, 80), share=0.5))
        with pytest.raises(OSError):
            writer.write()


def test_temporary_frames_are_removed_without_a_video(tmp_path):
    with VideoWriter(tmp_path / 'day.mp4') as writer:
        writer.add(*prediction('a', (60, 80), share=0.5))
        assert len(list(tmp_path.rglob('*.png'))) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')
def test_a_video_replaces_a_link_and_does_not_follow_it(tmp_path):
    (tmp_path / 'mine').write_bytes(b'mine')
    for name in ('day.mp4', '.part-day.mp4', 'day.mp4.part'):
        (tmp_path / name).symlink_to('mine')
    with VideoWriter(tmp_path / 'day.mp4', height=80) as writer:
        writer.add(*prediction('a', (60, 80), share=0.5))
        assert writer.write() == 1
    assert (tmp_path / 'mine').read_bytes() == b'mine' and not (tmp_path / 'day.mp4').is_symlink()


@pytest.mark.skipif(os.name == 'nt', reason='names are Unicode on Windows')
def test_images_with_odd_names_have_a_frame(tmp_path):
    with VideoWriter(tmp_path / 'day.mp4', height=80) as writer:
        for name in (os.fsdecode(b'caf\xe9'), 'a\x1b[31m\nb\u202e'):
            writer.add(*prediction(name, (60, 80), share=0.5))
        assert writer.write() == 2


def test_a_frame_is_small_however_large_the_image(tmp_path):
    with VideoWriter(tmp_path / 'day.mp4', height=80) as writer:
        writer.add(*prediction('large', (1200, 1600), share=0.5))
        (frame,) = tmp_path.rglob('*.png')
        assert cv2.imread(str(frame)).shape[0] < 200
