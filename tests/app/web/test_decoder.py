"""Uploads are decoded in processes that can be killed."""

import io
import os
import signal
import struct
import threading
import time
import zlib
from datetime import datetime, timezone

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from hyperbolic_seg.app.web.decoder import Decoder

OPTIONS = dict(max_pixels=25_000_000)
FORM = 'multipart/form-data; boundary=edge'


def form(content, field='file'):
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="a"\r\n\r\n'
    return FORM, head.encode() + content + b'\r\n--edge--\r\n'


@pytest.fixture(scope='module')
def decoder():
    made = Decoder(workers=1, seconds=20)
    made.start()
    yield made
    made.close()


def encoded(shape=(40, 60, 3), suffix='.png'):
    image = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    return image, cv2.imencode(suffix, image)[1].tobytes()


def test_an_image_comes_with_its_name_and_what_exif_says(decoder):
    image, content = encoded()
    found = decoder(*form(content), **OPTIONS)
    assert np.array_equal(found.image, image) and found.name == 'a' and found.exif.time(None) is None
    exif, stream = Image.Exif(), io.BytesIO()
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: '2024:07:17 11:30:00',
        ExifTags.Base.UserComment: 'secret',
    }
    exif[ExifTags.IFD.GPSInfo] = {
        ExifTags.GPS.GPSLatitudeRef: 'S',
        ExifTags.GPS.GPSLatitude: (33.0, 30.0, 36.0),
        ExifTags.GPS.GPSLongitudeRef: 'E',
        ExifTags.GPS.GPSLongitude: (151.0, 15.0, 0.0),
        ExifTags.GPS.GPSAltitude: 40.5,
        ExifTags.GPS.GPSAltitudeRef: b'\x01',
    }
    Image.fromarray(image[..., ::-1]).save(stream, 'JPEG', exif=exif)
    found = decoder(*form(stream.getvalue()), **OPTIONS)
    assert found.exif.time(None) == (datetime(2024, 7, 17, 11, 30, tzinfo=timezone.utc), 'DateTimeOriginal')
    assert found.exif.place == pytest.approx((-33.51, 151.25, -40.5))
    assert 'secret' not in str(found.exif), 'no more is kept than time and place'


def test_a_broken_image_is_refused_and_the_process_continues(decoder):
    before = decoder._workers[0].start().pid
    for content in (b'', b'no image', encoded()[1][:60]):
        with pytest.raises(ValueError, match='the upload is not a readable image'):
            decoder(*form(content), **OPTIONS)
    with pytest.raises(ValueError, match='expected at most 100'):
        decoder(*form(encoded()[1]), max_pixels=100)
    assert decoder._workers[0].start().pid == before


@pytest.mark.parametrize(
    'upload',
    [
        ('application/json', b'{}'),
        ('', b''),
        ('multipart/form-data', form(b'x')[1]),
        (FORM, b''),
        (FORM, form(b'x')[1][:-8]),
        (FORM, form(b'x', field='other')[1]),
        (FORM, form(b'x')[1].replace(b'--edge--', b'--edge') + form(b'x')[1]),
        (FORM, b'--edge\r\n' + b'a:\r\n' * 50_000),
        (FORM, form(b'')[1].replace(b'filename="a"', b'filename="a"; ' + b'x=y; ' * 10_000)),
    ],
)
def test_a_form_without_one_file_is_refused(decoder, upload):
    with pytest.raises(ValueError, match='expected one file, in the field|not a readable image'):
        decoder(*upload, **OPTIONS)


def slow_tiff():
    """One row to a strip, each of them packed to some bytes: little to read and much to do."""
    height, width = 4000, 6000
    packed = zlib.compress(bytes(width * 3))
    tags = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 8), (262, 3, 2), (277, 3, 3), (278, 4, 1)]
    offset = 8 + 2 + 12 * (len(tags) + 2) + 4
    entries = [struct.pack('<HHII', tag, kind, 1, value) for tag, kind, value in tags]
    lengths, data = offset + 4 * height, offset + 8 * height
    entries.insert(5, struct.pack('<HHII', 273, 4, height, offset))
    entries.append(struct.pack('<HHII', 279, 4, height, lengths))
    entries.sort(key=lambda entry: struct.unpack('<H', entry[:2]))
    head = b'II' + struct.pack('<HI', 42, 8) + struct.pack('<H', len(entries)) + b''.join(entries) + bytes(4)
    return head + struct.pack('<I', data) * height + struct.pack('<I', len(packed)) * height + packed


def test_a_slow_decoder_is_killed_and_the_next_image_is_decoded():
    decoder = Decoder(workers=1, seconds=1)
    process = decoder._workers[0].start()
    decoder(*form(encoded()[1]), **OPTIONS)  # it is up now
    os.kill(process.pid, signal.SIGSTOP)  # as if it would decode for ever
    with pytest.raises(ValueError, match='takes too much to decode .time: it has 1 s.: save the image anew'):
        decoder(*form(encoded()[1]), **OPTIONS)
    assert process.poll() is not None, 'it has been killed'
    image, content = encoded()
    for _ in range(50):  # a slow machine may need longer than the second to start it
        try:
            assert np.array_equal(decoder(*form(content), **OPTIONS).image, image)
            break
        except ValueError:
            continue
    else:
        pytest.fail('no process came up again')
    decoder.close()


def test_memory_is_limited():
    """The image has as many pixels as are taken, and needs more memory than there is."""
    decoder = Decoder(workers=1, seconds=30, memory=2**25)
    with pytest.raises(ValueError, match='not a readable image|takes too much to decode'):
        decoder(*form(slow_tiff()), **OPTIONS)
    image, content = encoded()
    assert np.array_equal(decoder(*form(content), **OPTIONS).image, image)
    decoder.close()
    roomy = Decoder(workers=1, seconds=60)
    assert roomy(*form(slow_tiff()), **OPTIONS).image.shape == (4000, 6000, 3), 'with memory it is an image like others'
    roomy.close()


def test_many_threads_share_the_processes(decoder):
    contents = [encoded((20, 30 + n, 3)) for n in range(12)]
    found = {}

    def ask(number):
        found[number] = decoder(*form(contents[number][1]), **OPTIONS).image

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[number], image) for number, (image, _) in enumerate(contents))


def test_a_killed_process_is_restarted(decoder):
    image, content = encoded()
    os.kill(decoder._workers[0].start().pid, signal.SIGKILL)
    time.sleep(0.2)
    assert np.array_equal(decoder(*form(content), **OPTIONS).image, image)


def test_a_decoder_ends_with_its_server():
    decoder = Decoder(workers=1)
    process = decoder._workers[0].start()
    process.stdin.close()  # as the system does for a server that was killed
    assert process.wait(timeout=30) == 0
    process.stdin = io.BytesIO()
    decoder.close()
