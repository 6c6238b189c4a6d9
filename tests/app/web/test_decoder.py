"""Uploads are decoded in processes that can be killed."""

import gzip
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
import rawpy
from PIL import ExifTags, Image

from hyperbolic_seg.app.web.decoder import Decoder
from hyperbolic_seg.images import Levels
from tests.photographs import ASCII, dng_bytes, fits_bytes, mosaic

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


def test_a_fits_image_comes_with_its_date_and_place(decoder):
    """A finished picture of three planes, which is kept as it is; astropy writes it."""
    image = encoded()[0]
    planes = np.moveaxis(image[..., ::-1], 2, 0)
    keywords = dict(DATE_OBS='2024-07-17T11:30:00', SITELAT='-33 30 36', SITELONG=151.25, OBSERVER='secret')
    found = decoder(*form(fits_bytes(planes, **keywords)), **OPTIONS)
    assert np.array_equal(found.image, image)
    assert found.exif.time(None) == (datetime(2024, 7, 17, 11, 30, tzinfo=timezone.utc), 'DATE-OBS')
    assert found.exif.place == pytest.approx((-33.51, 151.25, 0.0))
    assert 'secret' not in str(found.exif), 'no more is kept than time and place'


def test_white_balance_of_the_camera_counts_for_fits_images_alone():
    decoder = Decoder(workers=1, levels=Levels(16, (2.0, 0.5)))
    light = np.full((32, 32), 10000, np.uint16)
    light[:4], light[-4:] = 0, 60000  # so that nothing is brightened, and black is where it is
    colors = decoder(*form(fits_bytes(light, BAYERPAT='RGGB')), **OPTIONS).image[16, 16] / 255
    linear = ((colors + 0.055) / 1.055) ** 2.4  # IEC 61966-2-1
    assert linear[::-1] * 65535 == pytest.approx([20000, 10000, 5000], rel=0.02)
    image, content = encoded()
    assert np.array_equal(decoder(*form(content), **OPTIONS).image, image)
    decoder.close()


def test_a_raw_photograph_is_what_libraw_shows_as_srgb(decoder):
    light = np.full((40, 60, 3), (60000, 30000, 9000), np.uint16)
    content = dng_bytes(mosaic(light), exif=[(36867, ASCII, '2024:07:17 11:30:00')])
    with rawpy.imread(io.BytesIO(content)) as raw:
        options = dict(gamma=(2.4, 12.92), no_auto_bright=True, adjust_maximum_thr=0.0, use_camera_wb=True)
        expected = raw.postprocess(**options)
    found = decoder(*form(content), **OPTIONS)
    assert np.abs(found.image[..., ::-1].astype(int) - expected).max() <= 2
    assert found.exif.time(None) == (datetime(2024, 7, 17, 11, 30, tzinfo=timezone.utc), 'DateTimeOriginal')


def test_damaged_large_and_bloated_files_of_sensors_are_refused_and_the_process_continues(decoder):
    before = decoder._workers[0].start().pid
    light = np.random.default_rng(0).integers(0, 60000, (40, 60)).astype(np.uint16)
    for content in (fits_bytes(light), fits_bytes(light, compressed=True), dng_bytes(light)):
        with pytest.raises(ValueError, match='the upload is not a readable (FITS image|raw photograph)'):
            decoder(*form(content[: len(content) // 2]), **OPTIONS)
        with pytest.raises(ValueError, match='the upload has 60 x 40 pixels: expected at most 100'):
            decoder(*form(content), max_pixels=100)
    bloated = gzip.compress(fits_bytes(np.zeros((3, 1100, 1100))))
    with pytest.raises(ValueError, match='the upload has 1100 x 1100 pixels: expected at most'):
        decoder(*form(bloated), max_pixels=1_000_000)
    assert decoder._workers[0].start().pid == before


def test_a_package_that_the_server_lacks_is_named(tmp_path, monkeypatch):
    (tmp_path / 'rawpy.py').write_text('raise ImportError')
    monkeypatch.syspath_prepend(tmp_path)  # the process gets the same path
    decoder = Decoder(workers=1)
    with pytest.raises(ImportError, match="the upload: raw photographs need rawpy: pip install 'hyperbolic-seg.app.'"):
        decoder(*form(dng_bytes(np.full((40, 60), 30000, np.uint16))), **OPTIONS)
    image, content = encoded()
    assert np.array_equal(decoder(*form(content), **OPTIONS).image, image)
    decoder.close()


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
