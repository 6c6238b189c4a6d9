"""Records of images that the program fails for: no number, and nothing that is safe."""

from datetime import datetime, timedelta, timezone
from threading import Event

import numpy as np
import pytest

from hyperbolic_seg.app.failures import failure, refusal
from hyperbolic_seg.app.watching import Journal, watch
from hyperbolic_seg.sky.camera import Moment, SafetyJudge, SafetyRule, SkyCamera

CAMERA = SkyCamera(latitude=59.9, longitude=10.7, time_format='%Y%m%d_%H%M')
NOON = datetime(2024, 7, 17, 12, tzinfo=timezone.utc)


def test_a_failure_has_its_kind_its_time_and_no_number():
    record = failure('20240717_1200.png', IndexError('7 of <Tensor object at 0x7f01>'), camera=CAMERA)
    assert record['error'] == refusal(record) == 'IndexError: 7 of the content'
    assert record['time'] == NOON.isoformat() and record['sun'] and record['quality_reasons'] == ['failed']
    assert record['cloud'] is None and not record['cover'] and 'fractions' not in record


def test_where_even_the_time_fails_the_error_is_that_of_the_prediction():
    never = SkyCamera(latitude=59.9, longitude=10.7, time_format='%Y%m%d_%H%M', timezone='Europe/Oslo')
    record = failure('20240331_0230.png', KeyError('a'), camera=never)  # an hour that summer time leaves out
    assert record == dict(image='20240331_0230.png', error="KeyError: 'a'")
    assert failure('a.png', MemoryError()) == dict(image='a.png', error='MemoryError')


@pytest.mark.parametrize('camera', [CAMERA, None], ids=['a camera', 'no camera'])
def test_a_safe_sky_is_unsafe_after_a_failure(camera):
    judge, cloud = SafetyJudge(SafetyRule(4, safe_after_minutes=2), Moment(NOON, 0)), dict(fraction=0.1, high=0.2)
    for minute in range(4):
        now = Moment(NOON + timedelta(minutes=minute), 60 * minute)
        judge.add(dict(image='a', time=now.wall.isoformat(), quality='ok', quality_reasons=[], cloud=cloud), now)
    assert not judge.state(now).unsafe
    judge.add(failure('20240717_1203.png', AssertionError(), camera=camera), now)
    assert judge.state(now).unsafe and 'predicted' in judge.state(now).reason


def test_an_image_that_fails_again_and_again_is_given_up_with_its_time(tmp_path):
    """Errors that may be those of a device are tried three times; those of every picture end nothing."""
    source, stop, tried = tmp_path / 'camera', Event(), []
    source.mkdir()
    for minute in range(4):
        (source / f'20240717_120{minute}.png').write_bytes(bytes(np.random.default_rng(minute).bytes(9)))

    def predict(file, name):
        tried.append(name)
        raise RuntimeError('no kernel') if len(tried) % 2 else ZeroDivisionError('nothing')

    with Journal(tmp_path / 'out') as journal:
        options = dict(failed=lambda file, error: failure(file, error, camera=CAMERA), stop=stop)
        lines = []
        for line in watch(source, journal, predict, **options, settle=0, interval=0.01):
            lines.append(line)
            if len(journal) == 4:
                stop.set()
    given_up = [line for line in lines if 'version' in line]
    assert len(tried) == len(lines) == 12 and len(given_up) == 4
    for line in given_up:
        assert line['error'].startswith('failed 3 times: ') and line['quality'] == 'refused'
        assert line['time'].startswith('2024-07-17T12:0')
