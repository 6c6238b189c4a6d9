"""Images of strangers; tests/datasets/test_loading.py has those of friends."""

import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hyperbolic_seg.images import (
    LARGE_PIXELS,
    MAX_SCANS,
    decode_image,
    labels_at,
    reduced_image,
    reduced_size,
)


def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(data, *, width=16, height=16, depth=8, colors=2, interlace=0, before=b''):
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, depth, colors, 0, 0, interlace))
    return b'\x89PNG\r\n\x1a\n' + header + before + chunk(b'IDAT', data) + chunk(b'IEND', b'')


def zeros(megabytes):
    packer = zlib.compressobj(9)
    return b''.join([packer.compress(bytes(2**20)) for _ in range(megabytes)]) + packer.flush()


def progressive_jpeg(scans):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3)).astype(np.uint8)
    Image.fromarray(noise).save(stream, 'JPEG', progressive=True, quality=50)
    content = stream.getvalue()
    last = content[content.rfind(b'\xff\xda') : -2]
    return content[:-2] + last * (scans - content.count(b'\xff\xda')) + b'\xff\xd9'


def test_scans_of_a_jpeg_are_bounded():
    assert decode_image(progressive_jpeg(MAX_SCANS), 'sky.jpg').shape == (16, 16, 3)
    with pytest.raises(ValueError, match=r'sky\.jpg has 3000 scans: expected at most 100; save it anew'):
        decode_image(progressive_jpeg(3000), 'sky.jpg')


def test_a_png_of_a_few_kilobytes_is_not_inflated_to_gigabytes():
    content = png(zeros(256))
    assert len(content) < 300_000
    tracemalloc.start()
    with pytest.raises(ValueError, match=r'sky\.png holds more data than its 16 x 16 pixels'):
        decode_image(content, 'sky.png')
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20, 'it stops when there is more than the pixels need'


@pytest.mark.parametrize('kind', [b'zTXt', b'iCCP'])
def test_compressed_chunks_beside_the_pixels_are_not_inflated(kind):
    bomb = chunk(kind, b'name\0\0' + zeros(128))
    image = zlib.compress((b'\0' + bytes(48)) * 16)
    try:
        assert decode_image(png(image, before=bomb), 'sky.png').shape == (16, 16, 3)
    except ValueError as error:
        assert 'sky.png is not a readable image' in str(error)


def test_one_png_is_one_image_of_one_size():
    image = zlib.compress((b'\0' + bytes(48)) * 16)
    animated = chunk(b'acTL', struct.pack('>II', 1000, 0))
    with pytest.raises(ValueError, match='is an animated PNG'):
        decode_image(png(image, before=animated), 'sky.png')
    second = chunk(b'IHDR', struct.pack('>IIBBBBB', 8, 8, 8, 2, 0, 0, 0))
    with pytest.raises(ValueError, match=r'sky\.png is not a readable image'):
        decode_image(png(image, before=second), 'sky.png')


@pytest.mark.parametrize('kind', ['GIF', 'JPEG2000', 'PPM', 'ICO', 'TGA', 'PCX'])
def test_formats_that_no_camera_writes_are_refused_by_name(kind):
    stream = io.BytesIO()
    Image.new('RGB', (16, 16)).save(stream, kind)
    with pytest.raises(ValueError, match='expected one of BMP, JPEG, PNG, TIFF, WEBP'):
        decode_image(stream.getvalue(), 'sky')


MODES = dict.fromkeys(['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'])


@given(
    mode=st.sampled_from([*MODES]),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    level=st.integers(0, 9),
)
def test_every_whole_png_is_read(mode, width, height, level):
    stream = io.BytesIO()
    Image.new(mode, (width, height)).save(stream, 'PNG', compress_level=level)
    assert decode_image(stream.getvalue(), 'sky.png').shape == (height, width, 3)


@given(width=st.integers(1, 40), height=st.integers(1, 40))
def test_interlaced_pngs_are_read(width, height):
    """Written by hand, as no encoder here writes them: seven smaller images after another (PNG 1.2, section 8.2)."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3)).astype(np.uint8)
    rows = []
    for left, top, right, down in passes:
        part = pixels[top::down, left::right]
        rows += [b'\0' + row.tobytes() for row in part if row.size]
    content = png(zlib.compress(b''.join(rows)), width=width, height=height, interlace=1)
    assert np.array_equal(decode_image(content, 'sky.png'), pixels[..., ::-1])


def test_pngs_of_another_encoder_are_read():
    noise = np.random.default_rng(0).integers(0, 255, (50, 70, 3)).astype(np.uint8)
    for level in range(10):
        done, content = cv2.imencode('.png', noise, [cv2.IMWRITE_PNG_COMPRESSION, level])
        assert done and np.array_equal(decode_image(content.tobytes(), 'sky.png'), noise)


@pytest.mark.parametrize('kind', ['png', 'tiff'])
@pytest.mark.parametrize('bits', [8, 10, 12, 14, 16])
def test_levels_of_any_sensor_in_16_bits_are_those_of_8(bits, kind):
    levels = np.random.default_rng(0).integers(0, 256, (16, 20, 3)).astype(np.uint16)
    levels[0, 0] = 255
    content = cv2.imencode(f'.{kind}', levels << (bits - 8))[1].tobytes()
    assert np.array_equal(decode_image(content, f'sky.{kind}'), levels)


def test_gray_levels_and_black_in_16_bits():
    gray = (np.arange(256, dtype=np.uint16) << 4).reshape(16, 16)
    assert np.array_equal(decode_image(cv2.imencode('.png', gray)[1].tobytes(), 'a.png')[..., 1], gray >> 4)
    assert not decode_image(cv2.imencode('.png', np.zeros_like(gray))[1].tobytes(), 'a.png').any()


@pytest.mark.parametrize('kind', ['png', 'tiff'])
def test_a_given_depth_counts_whatever_the_largest_level(kind):
    """A dark frame of a camera of 12 bits, which would pass for one of 8 or 10 bits, and a bright one."""
    for levels in (np.full((8, 8, 3), 200, np.uint16), np.full((8, 8, 3), 3000, np.uint16)):
        content = cv2.imencode(f'.{kind}', levels)[1].tobytes()
        assert np.array_equal(decode_image(content, 'a', bit_depth=12), levels // 16)
    with pytest.raises(ValueError, match=r'^a has levels up to 3000, and bit_depth: 11 holds up to 2047'):
        decode_image(content, 'a', bit_depth=11)
    eight = cv2.imencode(f'.{kind}', np.full((8, 8, 3), 200, np.uint8))[1].tobytes()
    assert (decode_image(eight, 'a', bit_depth=12) == 200).all(), 'files of 8 bits have 8 bits'


def large_image():
    """Somewhat more than large, with an edge at which shifts are seen."""
    image = np.full((4100, 4200, 3), 40, np.uint8)
    image[:1500, 900:] = (200, 150, 90)
    assert image[..., 0].size > LARGE_PIXELS
    return image


@pytest.mark.parametrize('orientation', [1, 6])
def test_a_large_image_is_decoded_like_a_small_one(orientation):
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(large_image()[..., ::-1]).save(stream, 'JPEG', quality=90, exif=exif)
    found = decode_image(stream.getvalue(), 'sky.jpg')
    assert found.shape == ((4100, 4200, 3) if orientation == 1 else (4200, 4100, 3))
    np.testing.assert_array_equal(found, cv2.imdecode(np.frombuffer(stream.getvalue(), np.uint8), cv2.IMREAD_COLOR))


def test_a_large_image_is_decoded_without_files_in_memory_as_well(monkeypatch):
    content = cv2.imencode('.png', large_image()[..., 0].astype(np.uint16) << 4)[1].tobytes()
    found = decode_image(content, 'sky.png')
    assert found.dtype == np.uint8 and set(np.unique(found)) == {40, 200}, 'levels of 12 bits'
    monkeypatch.delattr('os.memfd_create')
    np.testing.assert_array_equal(decode_image(content, 'sky.png'), found)


def test_a_large_image_that_is_damaged_is_refused():
    content = cv2.imencode('.png', large_image())[1].tobytes()
    middle = len(content) // 2
    with pytest.raises(ValueError, match=r'sky\.png is not a readable image: it is damaged'):
        decode_image(content[:middle] + bytes(64) + content[middle + 64 :], 'sky.png')


@pytest.mark.skipif(not hasattr(os, 'memfd_create'), reason='this system has no files in memory')
def test_a_large_image_takes_the_memory_of_one():
    """The peak of a process of its own, which knows nothing of the images of other tests."""
    resource = pytest.importorskip('resource')
    code = (
        'import resource, sys; from hyperbolic_seg.images import decode_image; content = sys.stdin.buffer.read()\n'
        'before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'image = decode_image(content, "a"); after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n'
        'print((after - before) * 1024 / image.nbytes)'
    )
    content = cv2.imencode('.jpg', np.vstack([large_image()] * 2))[1].tobytes()
    done = subprocess.run([sys.executable, '-c', code], input=content, stdout=subprocess.PIPE, check=True)
    assert resource and float(done.stdout) < 1.5


def test_images_are_reduced_to_a_number_of_pixels_at_most():
    assert reduced_size(300, 400, max_pixels=120_000) == (300, 400)
    assert reduced_size(3000, 4000, max_pixels=120_000) == (300, 400)
    height, width = reduced_size(3001, 4003, max_pixels=120_000)
    assert height * width <= 120_000 and height / width == pytest.approx(3001 / 4003, rel=0.005)
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert reduced_image(image) is image
    means = image.reshape(2, 2, 2, 2, 3).mean((1, 3))
    np.testing.assert_allclose(reduced_image(image, max_pixels=4), means, atol=0.5)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_labels_at_another_size_are_labels(dtype):
    labels = np.array([[0, 7], [250, 3]], dtype)
    assert labels_at(labels, (2, 2)) is labels
    larger = labels_at(labels, (4, 6))
    np.testing.assert_array_equal(larger, labels.repeat(2, 0).repeat(3, 1))
    np.testing.assert_array_equal(labels_at(larger, (2, 2)), labels)
