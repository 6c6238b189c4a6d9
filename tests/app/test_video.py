import os

import av
import cv2
import numpy as np
import pytest

from hyperbolic_seg.apis.outputs import write_files
from hyperbolic_seg.app.video import write_video

PALETTE = [[255, 0, 0], [0, 0, 255]]


def predicted(folder, name, shape, *, share, **more):
    """A picture with its record, as predict_files leaves them; the upper part is of the first class."""
    image = np.full((*shape, 3), 120, np.uint8)
    (folder / f'{name}.png').write_bytes(cv2.imencode('.png', image)[1])  # imwrite crashes at names that are no UTF-8
    labels = np.ones(shape, np.uint8)
    labels[: round(share * shape[0])] = 0
    prediction = dict(labels=labels, radius=None, confidence=np.ones(shape), classes=['red', 'blue'], palette=PALETTE)
    return write_files(folder / 'out', name, image, prediction, source=str(folder / f'{name}.png')) | more


def frames(file):
    with av.open(str(file)) as video:
        assert video.streams.video[0].codec_context.name == 'h264'
        return float(video.streams.video[0].average_rate), [f.to_ndarray(format='rgb24') for f in video.decode(video=0)]


def reddish(frame, height=80):
    """Share of red among what is red or blue in the right picture, below its title."""
    right = frame[22 : 22 + height, frame.shape[1] // 2 :].astype(int)
    red = (right[..., 0] - right[..., 2] > 60).sum()
    return red / (red + (right[..., 2] - right[..., 0] > 60).sum())


def test_pictures_come_by_time_beside_their_classes(tmp_path):
    later = predicted(tmp_path, 'a', (60, 80), share=0.75, time='2024-07-17T10:00:00+02:00')
    first = predicted(tmp_path, 'b', (60, 80), share=0.25, time='2024-07-17T07:30:00+00:00')
    refused = dict(image='c.png', error='it is no picture')
    file = tmp_path / 'made' / 'day.mp4'
    assert write_video([later, first, refused], PALETTE, file, frames_per_second=12.5, height=80) == 2
    rate, pictures = frames(file)
    assert rate == 12.5 and [reddish(picture) for picture in pictures] == pytest.approx([0.25, 0.75], abs=0.05)
    assert [path.name for path in file.parent.iterdir()] == ['day.mp4']


def test_pictures_of_other_sizes_fit_into_the_first(tmp_path):
    shapes = [(61, 81), (30, 200), (90, 20)]
    records = [predicted(tmp_path, str(n), shape, share=0.5) for n, shape in enumerate(shapes)]
    write_video(records, PALETTE, tmp_path / 'all.mkv', height=80)
    pictures = frames(tmp_path / 'all.mkv')[1]
    assert len({picture.shape for picture in pictures}) == 1 and len(pictures) == 3
    assert [reddish(picture) for picture in pictures] == pytest.approx([0.5] * 3, abs=0.1)


def test_what_cannot_be_written_is_named(tmp_path):
    record = predicted(tmp_path, 'a', (60, 80), share=0.5)
    with pytest.raises(ValueError, match=r'expected a suffix of \.mp4'):
        write_video([record], PALETTE, tmp_path / 'day.gif')
    with pytest.raises(ValueError, match='expected at least one picture'):
        write_video([dict(image='c.png', error='it is no picture')], PALETTE, tmp_path / 'day.mp4')
    (tmp_path / 'out' / 'labels' / 'a.png').unlink()
    with pytest.raises(ValueError, match=r'labels of .*a\.png, cannot be read'):
        write_video([record], PALETTE, tmp_path / 'day.mp4')
    assert not list(tmp_path.glob('*day.mp4'))


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='this system has no FIFOs')
def test_labels_that_are_no_regular_file_are_named_and_not_waited_for(tmp_path):
    record = predicted(tmp_path, 'a', (60, 80), share=0.5)
    labels = tmp_path / 'out' / 'labels' / 'a.png'
    labels.unlink()
    os.mkfifo(labels)
    with pytest.raises(ValueError, match=r'labels of .*a\.png, cannot be read: .* is a FIFO'):
        write_video([record], PALETTE, tmp_path / 'day.mp4')
    labels.unlink()
    labels.write_bytes(b'')
    with pytest.raises(ValueError, match=r'labels of .*a\.png, cannot be read'):
        write_video([record], PALETTE, tmp_path / 'day.mp4')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.png', 'out']


@pytest.mark.skipif(os.name == 'nt', reason='links need a privilege on Windows')
def test_a_video_goes_through_no_link_that_lies_ready(tmp_path):
    record = predicted(tmp_path, 'a', (60, 80), share=0.5)
    (tmp_path / 'mine').write_bytes(b'mine')
    for name in ('day.mp4', '.part-day.mp4', 'day.mp4.part'):
        (tmp_path / name).symlink_to('mine')
    assert write_video([record], PALETTE, tmp_path / 'day.mp4', height=80) == 1
    assert (tmp_path / 'mine').read_bytes() == b'mine' and not (tmp_path / 'day.mp4').is_symlink()


@pytest.mark.skipif(os.name == 'nt', reason='names are Unicode on Windows')
def test_pictures_of_odd_names_have_a_frame(tmp_path):
    names = [os.fsdecode(b'caf\xe9'), 'a\x1b[31m\nb\u202e']
    records = [predicted(tmp_path, name, (60, 80), share=0.5) for name in names]
    assert write_video(records, PALETTE, tmp_path / 'day.mp4', height=80) == 2
