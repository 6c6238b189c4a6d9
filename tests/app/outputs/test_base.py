"""Several outputs as one: what fails in one of them keeps nothing from the others."""

import json
import traceback
from contextlib import suppress
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyperbolic_seg.app.outputs.alpaca.devices import ObservingConditions
from hyperbolic_seg.app.outputs.base import Outputs
from hyperbolic_seg.app.outputs.safety import SafetyOutput
from hyperbolic_seg.sky.camera import Evidence, Moment, SafetyRule


class Kept:
    def __init__(self, order, error=None):
        self.lines, self.order, self.error = [], order, error

    def add(self, line):
        if self.error:
            raise self.error
        self.lines.append(line)

    def close(self):
        self.order.append(self)
        if self.error:
            raise self.error


def test_the_failure_of_one_output_is_said_once_and_the_others_go_on():
    said, order = [], []
    full, kept = Kept(order, OSError('the disk\nis full')), Kept(order)
    with Outputs([full, kept], said.append) as outputs:
        outputs.add(dict(name='a.png'))
        outputs.add(dict(name='b.png'))
        assert said == ['Kept: the disk is full']
        full.error = None
        outputs.add(dict(name='c.png'))
        full.error = OSError('the disk\nis full')
        outputs.add(dict(name='d.png'))
        assert len(said) == 2, 'it worked in between'
    assert [line['name'] for line in kept.lines] == ['a.png', 'b.png', 'c.png', 'd.png']
    assert order == [kept, full]


@pytest.mark.parametrize('error', [TypeError('no\nnumber'), KeyError('cloud'), AssertionError(), StopIteration()])
def test_an_error_of_a_kind_that_nobody_expects_breaks_its_output_alone(error):
    said, order = [], []
    broken, kept = Kept(order, error), Kept(order)
    with Outputs([broken, kept], said.append) as outputs:
        outputs.add(dict(name='a.png'))
        broken.error = None
        outputs.add(dict(name='b.png'))
        broken.error = error
    last = ' '.join(traceback.format_exception_only(error)[-1].split())
    assert said[0].startswith(
        f'Kept is broken, and is told of no more images until the next start: {last} (test_base.py'
    )
    assert said[1].startswith(f'Kept could not be closed: {last}') and len(said) == 2
    assert broken.lines == [] and [line['name'] for line in kept.lines] == ['a.png', 'b.png']
    assert order == [kept, broken]


def test_an_interruption_is_no_error_of_an_output():
    with pytest.raises(KeyboardInterrupt):
        Outputs([Kept([], KeyboardInterrupt())], print).add({})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(['fraction', 'high', 'a']), inner),
    max_leaves=4,
)
KEYS = ['name', 'version', 'time', 'quality', 'quality_reasons', 'cloud', 'cover', 'error', 'skipped']


class Night:
    """Real outputs under a sky that has become safe, with a clock that stands still."""

    START = datetime(2025, 1, 31, 22, tzinfo=timezone.utc)

    def __init__(self, folder):
        self.minute, self.zone, self.said, self.file = 0.0, timezone.utc, [], folder / 'safety.json'
        rule = SafetyRule(cloud_above=4, for_minutes=5, safe_after_minutes=1, no_picture_minutes=5)
        self.safety = SafetyOutput(rule, folder, on_error=self.said.append, clock=self.clock)
        self.clouds = ObservingConditions(5.0, ('refused',), unique_id='a', clock=self.clock)
        self.outputs = Outputs([self.safety], self.said.append)
        for self.minute in (0.0, 1.0, 2.0):
            self.take()
        assert not self.safety.safety().unsafe and self.clouds.cloud_cover() == 0

    def clock(self):
        wall = self.START + timedelta(minutes=self.minute)
        return Moment(wall.replace(tzinfo=self.zone), 60 * self.minute)

    def take(self, **changes):
        """Take the record of a clear sky with some changes."""
        time = (self.START + timedelta(minutes=self.minute)).isoformat()
        cloud = dict(fraction=0.0, low=0.0, high=0.0, oktas=0)
        line = dict(name='a.jpg', version=[1, 2], time=time, quality='ok', quality_reasons=[], cloud=cloud) | changes
        self.outputs.add(line)
        with suppress(Exception):  # what Outputs does with it
            self.clouds.add(line)
        return line

    def told(self):
        return json.loads(self.file.read_bytes())


@settings(max_examples=30, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(KEYS), VALUES, min_size=1))
def test_whatever_a_record_holds_it_does_not_end_watch_and_is_safe_only_as_evidence(tmp_path_factory, changes):
    night = Night(tmp_path_factory.mktemp('night'))
    line = night.take(**changes)
    try:
        known = 'skipped' in line or bool(Evidence.of(line, night.clock(), minutes=5, quality=('refused',)))
    except Exception:
        known = False
    assert night.safety.safety().unsafe is night.told()['unsafe'] is not known
    assert bool(night.clouds.state()) is known
    night.outputs.close()
    assert night.told()['unsafe'] is True


def test_a_picture_that_breaks_the_judgment_makes_it_unsafe_until_the_next_start(tmp_path):
    """The reasons of a quality are no list, which is a fault that no output expects."""
    night = Night(tmp_path)
    night.take(quality='refused', quality_reasons=5)
    for night.minute in (3.0, 4.0, 5.0):
        assert night.told()['unsafe'] is True and 'could not be judged: TypeError' in night.told()['reason']
        night.take()
    night.outputs.close()
    (message,) = night.said
    assert message.startswith('SafetyOutput is broken, and is told of no more images until the next start: TypeError')


def test_asking_after_a_fault_is_answered_with_unsafe(tmp_path):
    """The clock loses its time zone, so that no age can be told: a TypeError where the timer looks at the clock."""
    night = Night(tmp_path)
    night.zone = None
    assert night.safety.safety().unsafe and 'cannot be judged any more: TypeError' in night.said[0]
    night.zone = timezone.utc
    assert night.safety.safety().unsafe and len(night.said) == 1
    night.outputs.close()
    assert night.told()['unsafe'] is True
