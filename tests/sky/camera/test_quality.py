"""What is no picture of the sky is refused by name, and skies are not."""

from datetime import datetime, timedelta, timezone

import cv2
import numpy as np
import pytest

from hyperbolic_seg.images import decode_image
from hyperbolic_seg.sky.camera import SkyCamera, View, as_record, examine
from hyperbolic_seg.sky.camera.coverage import Cover
from hyperbolic_seg.sky.camera.observation import Observation
from hyperbolic_seg.sky.camera.quality import QUALITIES, REASONS, Quality, Repeats, quality_of
from hyperbolic_seg.sky.renderer import render_sky, sample_scene

HEIGHT, WIDTH = 360, 640
RANDOM = np.random.default_rng(0)


def noise(mean, deviation, shape=(HEIGHT, WIDTH, 3)):
    return np.clip(RANDOM.normal(mean, deviation, shape), 0, 255).astype(np.uint8)


def hot_pixels():
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[RANDOM.integers(0, HEIGHT, 300), RANDOM.integers(0, WIDTH, 300)] = 255
    return image


def card(back, front, text='Camera is not running'):
    image = np.full((HEIGHT, WIDTH, 3), back, np.uint8)
    return cv2.putText(image, text, (40, 190), cv2.FONT_HERSHEY_SIMPLEX, 1.5, front, 3, cv2.LINE_AA)


def color_bars():
    bars = [(192, 192, 192), (0, 192, 192), (192, 192, 0), (0, 0, 192)]
    return np.repeat(np.array(bars, np.uint8)[None].repeat(HEIGHT, 0), WIDTH // 4, 1)


def star_trails(size=480, pole=(200, 150)):
    """A stack of a night: each star drew an arc around the pole."""
    image = noise(18, 3, (size, size, 3)).astype(float)
    for _ in range(300):
        radius, start, level = RANDOM.uniform(5, size), RANDOM.uniform(0, 360), RANDOM.uniform(120, 255)
        axes = (int(radius), int(radius))
        cv2.ellipse(image, pole, axes, 0, start, start + RANDOM.uniform(30, 90), (level,) * 3, 1, cv2.LINE_AA)
    return image.astype(np.uint8)


def as_jpeg(image):
    return cv2.imdecode(cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], cv2.IMREAD_COLOR)


NO_SKY = {
    'zeros': (lambda: np.zeros((HEIGHT, WIDTH, 3), np.uint8), 'black'),
    'hot pixels': (hot_pixels, 'black'),
    'lens cap': (lambda: noise(6, 3), 'black'),
    'lens cap at high gain': (lambda: noise(60, 30), 'noise'),
    'lens cap, a sensor with a color filter': (
        lambda: cv2.cvtColor(noise(30, 10, (HEIGHT, WIDTH)), cv2.COLOR_BayerRG2BGR),
        'noise',
    ),
    'bright noise': (lambda: noise(128, 20), 'noise'),
    'one gray': (lambda: np.full((HEIGHT, WIDTH, 3), 140, np.uint8), 'even'),
    'white': (lambda: np.full((HEIGHT, WIDTH, 3), 255, np.uint8), 'over-exposed'),
    'white on black': (lambda: card((0, 0, 0), (255, 255, 255)), 'text card'),
    'white on blue': (lambda: card((120, 60, 20), (255, 255, 255)), 'text card'),
    'red on gray': (lambda: card((128, 128, 128), (0, 0, 255), 'no signal'), 'text card'),
    'color bars': (color_bars, 'text card'),
    'star trails': (star_trails, 'star trails'),
}


@pytest.mark.parametrize('make, reason', NO_SKY.values(), ids=NO_SKY)
def test_what_is_no_sky_is_refused_by_name(make, reason):
    image = make()
    for each in (image, as_jpeg(image)):
        found = quality_of(each)
        assert found.name == 'refused' and found.reasons[0] == reason and REASONS[reason][1] in found.text


def test_sixteen_bits_do_not_make_noise_a_sky():
    """Levels of 12 bits in 16, of a lens cap: the file's own largest level must not stretch them to a picture."""
    for mean, deviation in ((20, 8), (250, 60), (2000, 300)):
        levels = np.clip(RANDOM.normal(mean, deviation, (HEIGHT, WIDTH, 3)), 0, 4095).astype(np.uint16)
        image = decode_image(cv2.imencode('.png', levels)[1].tobytes(), 'cap.png')
        assert quality_of(image).name == 'refused', (mean, quality_of(image))


def test_stacks_of_many_pictures_are_known_by_name():
    sky = render_sky(3, 128).image
    assert quality_of(sky, file='/sky/keogram-20240823.jpg').reasons == ('keogram',)
    assert quality_of(sky, file='startrails-20240823.jpg') == Quality('refused', ('star trails',))
    assert quality_of(sky, file='/startrails/20240823.jpg').name == 'ok', 'the name of the file, not of a folder'


@pytest.mark.parametrize('seed', range(12))
def test_skies_of_day_dusk_and_night_are_not_refused(seed):
    image = render_sky(seed, 192).image[..., ::-1]
    found = quality_of(np.ascontiguousarray(image))
    assert found.name != 'refused', found


@pytest.mark.parametrize('seed', [0, 6, 35])
def test_a_dome_by_night_is_no_star_trail(seed):
    """The rim of a dome is an arc, also with the moon in it."""
    for size in (240, 480):
        scene = sample_scene(seed, camera='fisheye', time='night')
        image = np.ascontiguousarray(render_sky(seed, size, scene=scene).image)
        camera = SkyCamera(
            center=((size - 1) / 2,) * 2, radius=scene.camera.dome_radius * size / 2, image_size=(size, size)
        )
        for found in (quality_of(image), examine(image, 'a.png', camera, Repeats()).quality):
            assert found.name != 'refused', found


def stars_in_a_dome(size, random, gradient=0.0):
    """An even clear sky without a moon, with 1500 stars and trees at the horizon, and the noise of a sensor."""
    sky = np.zeros((size, size), np.float32)
    columns, rows = random.integers(0, size, (2, 1500))
    np.add.at(sky, (rows, columns), np.minimum(40 * (1 + random.pareto(1.2, 1500)), 900))
    sky = cv2.GaussianBlur(sky, (0, 0), 0.8)
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    radius, angle = np.hypot(rows, columns) / (size / 2 - 2), np.arctan2(rows, columns)
    image = sky[..., None] + np.array([26, 22, 18]) + gradient * radius[..., None] ** 2
    image += random.normal(0, random.uniform(1.5, 6), image.shape)
    trees = radius > 0.92 + 0.03 * np.sin(23 * angle)
    image[trees] = random.normal(9, 2, (int(trees.sum()), 3))
    image[radius > 1] = 0
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize('size', [240, 480])
@pytest.mark.parametrize('gradient', [0.0, 12.0])
def test_stars_are_no_noise(size, gradient):
    camera = SkyCamera(center=((size - 1) / 2,) * 2, radius=size / 2 - 2, image_size=(size, size))
    image = stars_in_a_dome(size, np.random.default_rng(1), gradient)
    for each in (image, as_jpeg(image)):
        for found in (quality_of(each), examine(each, 'a.png', camera, Repeats()).quality):
            assert found.name != 'refused', found


@pytest.mark.parametrize('size', [200, 240, 480])
def test_a_lens_cap_is_noise_also_with_a_black_frame_and_a_clock(size):
    camera = SkyCamera(center=((size - 1) / 2,) * 2, radius=size / 2 - 2, image_size=(size, size))
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    for mean, deviation in ((30, 10), (60, 30), (20, 30)):
        image = noise(mean, deviation, (size, size, 3))
        cv2.putText(image, '2026-11-27', (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255,) * 3)
        framed = np.where((np.hypot(rows, columns) > size / 2)[..., None], np.uint8(0), image)
        for each in (image, framed):
            assert examine(each, 'a.png', camera, Repeats()).quality.reasons[0] == 'noise'


@pytest.mark.parametrize('size', [(8, 8), (48, 64), (90, 90), (128, 128)])
def test_a_small_picture_with_a_gradient_is_no_noise(size):
    ramp = np.linspace(40, 220, size[0])[:, None, None] * np.array([1, 0.9, 0.8])
    assert quality_of(np.broadcast_to(ramp, (*size, 3)).astype(np.uint8)).name == 'ok'


def test_exposure_is_judged_where_the_sky_is():
    sky = np.ascontiguousarray(render_sky(3, 192).image[..., ::-1])
    half = sky.copy()
    half[:120] = 255
    assert quality_of(half).reasons == ('partly over-exposed',)
    seen = np.zeros(half.shape[:2], bool)
    seen[:110] = True
    assert quality_of(half, seen=seen).reasons == ('over-exposed',)
    assert quality_of(half, seen=~seen).name == 'ok'
    dim = (sky * (25 / sky.max())).astype(np.uint8)
    assert 'dark' in quality_of(dim).reasons
    with pytest.raises(ValueError, match='no pixel counts'):
        quality_of(sky, seen=np.zeros(seen.shape, bool))


@pytest.fixture(scope='module')
def dome():
    """A dome with trees at its horizon, and its camera."""
    size, sky = 400, np.full((400, 400, 3), (160, 110, 60), np.float32)
    rows, columns = np.mgrid[:size, :size] - 199.5
    radius, angle = np.hypot(rows, columns), np.arctan2(rows, columns)
    sky += 40 * np.exp(-((rows - 40) ** 2 + (columns + 30) ** 2) / 5000)[..., None]
    sky[(radius > 168 + 12 * np.sin(23 * angle) + 6 * np.sin(61 * angle))] = (30, 45, 40)
    sky += np.random.default_rng(1).normal(0, 2, sky.shape)
    sky[radius > 195] = 0
    camera = SkyCamera(center=(199.5, 199.5), radius=195.0, image_size=(400, 400))
    return np.clip(sky, 0, 255).astype(np.uint8), camera


def test_dew_frost_and_snow_on_the_dome_are_doubtful(dome):
    image, camera = dome
    assert examine(image, 'a.png', camera, Repeats()).quality == Quality()
    dew = cv2.GaussianBlur(image, (0, 0), 6)
    found = examine(dew, 'a.png', camera, Repeats()).quality
    assert found == Quality('doubtful', ('blurred',)) and 'dew, frost or snow on the dome' in found.text
    snow = np.where(image.max(2, keepdims=True) > 0, 200, 0) + cv2.GaussianBlur(image, (0, 0), 30) * 0.1
    assert examine(snow.astype(np.uint8), 'a.png', camera, Repeats()).quality.reasons == ('blurred',)
    narrow = SkyCamera(center=(199.5, 199.5), radius=195.0, field_of_view=120, image_size=(400, 400))
    assert examine(dew, 'a.png', narrow, Repeats()).quality == Quality(), 'no horizon is seen, nothing need be sharp'


def test_a_frozen_camera_is_found_also_under_a_running_clock(dome):
    image, _ = dome
    noon = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
    later = noon + timedelta(minutes=1)

    def stamped(text):
        return cv2.putText(image.copy(), text, (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255,) * 3)

    for first, second in ((image, image), (stamped('12:00'), stamped('12:01')), (as_jpeg(image), as_jpeg(image))):
        repeats = Repeats()
        assert not repeats.add(first, noon, 'a.png')
        assert repeats.add(second, later, 'b.png')
    repeats = Repeats()
    assert not repeats.add(image, noon, 'a.png')
    assert not repeats.add(image, noon, 'copy of a.png'), 'a copy is of the same time'
    assert not repeats.add(image, later, 'copy of a.png'), 'a file that is written again'
    alive = np.clip(image.astype(int) + RANDOM.integers(-1, 2, image.shape), 0, 255).astype(np.uint8)
    assert not repeats.add(alive, later + timedelta(minutes=1), 'c.png'), 'the noise of a sensor is never the same'
    black = np.zeros_like(image)
    assert not repeats.add(black, noon, 'd.png') and not repeats.add(black, later, 'e.png'), 'black for another reason'


def test_a_frame_without_a_dome_is_refused_for_what_it_is(dome):
    image, _ = dome
    camera, repeats = SkyCamera(time_format='%Y%m%d%H%M', latitude=48.0, longitude=11.0), Repeats()
    examined = examine(np.zeros_like(image), '202606011200.png', camera, repeats)
    assert examined.quality.reasons == ('black',)
    record = as_record(None, *examined)
    assert (record['quality'], record['quality_reasons'], record['cloud'], record['cover']) == (
        'refused',
        ['black'],
        None,
        {},
    )
    assert record['time'] == '2026-06-01T12:00:00+00:00' and record['sun']['elevation'] > 60
    with pytest.raises(ValueError, match='no dome found'):
        examine(np.ascontiguousarray(render_sky(3, 192).image[..., ::-1]), '202606011200.png', camera, repeats)
    at_noon, later = (examine(image, f'2026060112{minute:02}.png', camera, repeats) for minute in (0, 1))
    assert at_noon.quality == Quality() and later.quality.reasons == ('repeated',)


def test_pictures_of_a_local_clock_are_ordered_through_the_night_it_is_put_back(dome):
    image, _ = dome
    camera = SkyCamera(center=(199.5, 199.5), radius=195.0, time_format='%Y%m%d%H%M', timezone='Europe/Berlin')
    repeats, found = Repeats(), []
    for name in ('202610250230.png', '202610250200.png', '202610250201.png'):
        alive = np.clip(image.astype(int) + RANDOM.integers(-1, 2, image.shape), 0, 255).astype(np.uint8)
        found.append(examine(alive, name, camera, repeats).view.time.astimezone(timezone.utc).strftime('%H:%M'))
    assert found == ['00:30', '01:00', '01:01']


def test_an_interval_of_nearly_all_is_doubtful():
    view = View(np.ones((1, 1)), None, None)
    for low, high, expected in ((0.1, 0.5, 'ok'), (0.01, 0.99, 'doubtful')):
        record = as_record(Observation({}, Cover(0.1, low, high, 1)), view, Quality())
        assert record['quality'] == expected and record['quality_reasons'] == ['unsure'] * (expected != 'ok')


def test_the_worst_reason_decides():
    assert Quality.of() == ('ok', ()) and Quality.of().text == ''
    assert Quality.of('dark', 'noise', 'blurred') == ('refused', ('noise', 'dark', 'blurred'))
    assert {quality for quality, _ in REASONS.values()} == set(QUALITIES) - {'ok'}


def test_real_skies_are_not_refused(real_data):
    """Every fortieth picture of five public sets; tools/benchmarks/quality.py examines all."""
    files = [file for file in real_data.rglob('*.jpg') if not {'masks', 'GTmaps'} & {*file.parts}]
    for file in sorted(files)[::40]:
        found = quality_of(decode_image(file.read_bytes(), file.name), file=str(file))
        assert found.name != 'refused', (file, found)
