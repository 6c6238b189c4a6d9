"""Images as they come from cameras, editors and broken disks: read right, or refused by name."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from hyperbolic_seg.datasets.loading import LoadVerifiedImage, read_image

RGB = np.kron(np.random.default_rng(0).integers(30, 226, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
HEADS = [b'', b'\x89PNG\r\n\x1a\n', b'\xff\xd8\xff\xe0', b'BM', b'II*\0']


def saved(path, image, **options):
    image.save(path, **options)
    return str(path)


def near(found, expected, tolerance):
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.abs(found[..., ::-1].astype(int) - expected.astype(int)).mean() <= tolerance


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'tif', 'webp', 'jpg'])
def test_colors_are_read_alike_from_every_format(tmp_path, suffix):
    options = dict(lossless=True) if suffix == 'webp' else dict(quality=95, subsampling=0) if suffix == 'jpg' else {}
    near(read_image(saved(tmp_path / f'a.{suffix}', Image.fromarray(RGB), **options)), RGB, 4 * (suffix == 'jpg'))


def test_gray_alpha_palette_and_cmyk_images_become_rgb(tmp_path):
    image = Image.fromarray(RGB)
    gray = np.asarray(image.convert('L'))
    near(read_image(saved(tmp_path / 'gray.png', Image.fromarray(gray))), gray[..., None].repeat(3, 2), 0)
    alpha = image.copy()
    alpha.putalpha(Image.fromarray(gray))
    near(read_image(saved(tmp_path / 'alpha.png', alpha)), RGB, 0)
    palette = image.quantize(48)
    near(read_image(saved(tmp_path / 'palette.png', palette)), np.asarray(palette.convert('RGB')), 0)
    near(read_image(saved(tmp_path / 'cmyk.jpg', image.convert('CMYK'), quality=95, subsampling=0)), RGB, 4)


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_sixteen_bit_images_become_eight_bit(tmp_path, suffix):
    deep = RGB.astype(np.uint16) * 257
    assert cv2.imwrite(str(tmp_path / f'a.{suffix}'), deep[..., ::-1])
    near(read_image(str(tmp_path / f'a.{suffix}')), RGB, 1)
    assert cv2.imwrite(str(tmp_path / f'b.{suffix}'), deep[..., 0])
    near(read_image(str(tmp_path / f'b.{suffix}')), RGB[..., :1].repeat(3, 2), 1)


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # turn by 90 degrees clockwise to see it
    found = read_image(saved(tmp_path / 'a.jpg', Image.fromarray(RGB), exif=exif, quality=95, subsampling=0))
    near(found, np.rot90(RGB, -1), 4)


def test_data_after_the_end_of_an_image_is_ignored(tmp_path):
    for name in ('a.jpg', 'a.png'):
        saved(tmp_path / name, Image.fromarray(RGB))
        with (tmp_path / name).open('ab') as file:
            file.write(b'maker notes' * 500)
        assert read_image(str(tmp_path / name)).shape == RGB.shape


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'tif', 'bmp'])
@settings(max_examples=15)
@given(share=st.floats(0, 0.97))
def test_files_cut_short_are_refused(tmp_path_factory, suffix, share):
    stream = io.BytesIO()
    Image.fromarray(RGB).save(stream, dict(png='PNG', jpg='JPEG', tif='TIFF', bmp='BMP')[suffix])
    content = stream.getvalue()
    path = tmp_path_factory.mktemp('cut') / f'cut.{suffix}'
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=rf'cut\.{suffix} is not a readable image'):
        read_image(str(path))


@given(content=st.binary(max_size=300), head=st.sampled_from(HEADS))
def test_any_bytes_are_refused_by_name(tmp_path_factory, content, head):
    path = tmp_path_factory.mktemp('noise') / 'noise.png'
    path.write_bytes(head + content)
    with pytest.raises(ValueError, match=r'noise\.png'):
        read_image(str(path))


def test_a_bomb_is_refused_by_its_header(tmp_path):
    image = bytearray(Path(saved(tmp_path / 'bomb.png', Image.fromarray(RGB))).read_bytes())
    image[16:24] = struct.pack('>II', 60_000, 60_000)  # it says that it would take eleven gigabytes
    image[29:33] = struct.pack('>I', zlib.crc32(image[12:29]))
    (tmp_path / 'bomb.png').write_bytes(image)
    with pytest.raises(ValueError, match=r'bomb\.png.*(pixels|bomb)'):
        read_image(str(tmp_path / 'bomb.png'))
    small = saved(tmp_path / 'small.png', Image.fromarray(RGB))
    with pytest.raises(ValueError, match='has 64 x 48 pixels: expected at most 3000; reduce it'):
        LoadVerifiedImage(max_pixels=3000).transform(dict(img_path=small))


def test_the_transform_loads_a_path_or_takes_an_array(tmp_path):
    path = saved(tmp_path / 'a.png', Image.fromarray(RGB))
    found = LoadVerifiedImage(to_float32=True).transform(dict(img_path=path))
    assert found['img'].dtype == np.float32 and found['img_shape'] == found['ori_shape'] == (48, 64)
    given = LoadVerifiedImage().transform(dict(img=RGB))
    assert given['img'] is RGB and given['ori_shape'] == (48, 64)
    with pytest.raises(FileNotFoundError):
        read_image(str(tmp_path / 'none.png'))
