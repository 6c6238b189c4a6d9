"""A rule for open instruments says safe only where it has seen enough."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hyperbolic_seg.sky.camera.evidence import Moment
from hyperbolic_seg.sky.camera.safety import Safety, SafetyJudge, SafetyRule
from hyperbolic_seg.sky.camera.sky_camera import SkyCamera

START = datetime(2025, 1, 31, 22, tzinfo=timezone.utc)
RULE = SafetyRule(cloud_above=4, for_minutes=5, safe_after_minutes=15, no_picture_minutes=5)


def at(minutes, *, clock=0.0):
    """The moment some minutes after the start, with the clock on the wall ahead by some minutes."""
    return Moment(START + timedelta(minutes=minutes + clock), 1000 + 60 * minutes)


def picture(minutes, eighths=1.0, **changes):
    """A record of a picture taken some minutes after the start."""
    time = (START + timedelta(minutes=minutes)).isoformat()
    cloud = dict(fraction=eighths / 16, low=0.0, high=eighths / 8, oktas=round(eighths))
    return dict(image='a.jpg', time=time, quality='ok', quality_reasons=[], cloud=cloud) | changes


def judged(*minutes, rule=RULE, judge=None):
    """A judge that has seen a clear picture at each of these minutes."""
    judge = judge or SafetyJudge(rule, at(0))
    for minute in minutes:
        judge.add(picture(minute), at(minute))
    return judge


def test_it_is_safe_after_fifteen_clear_minutes_and_no_sooner():
    judge = SafetyJudge(RULE, at(0))
    assert judge.state(at(0)) == Safety(True, 'no picture has come yet', START)
    for minute in range(1, 16):
        judged(minute, judge=judge)
        assert judge.state(at(minute)) == Safety(True, 'clear since 22:01:00 UTC, not yet for 15 minutes', START)
    judged(16, judge=judge)
    found = judge.state(at(20.9))
    assert found == Safety(False, 'cloud cover up to 4 oktas for 15 minutes', START + timedelta(minutes=16))


def test_time_alone_makes_nothing_safe():
    judge = judged(0, 4, 8, 12, 14.9)
    assert all(judge.state(at(14.9 + wait)).unsafe for wait in (0, 1, 2, 4, 100))


def test_silence_is_unsafe_and_needs_the_whole_time_again():
    judge = judged(*range(16))
    assert not judge.state(at(19.99)).unsafe
    assert judge.state(at(90)) == Safety(True, 'no picture for 5 minutes', START + timedelta(minutes=20))
    judged(90, judge=judge)
    assert judge.state(at(90)).since == START + timedelta(minutes=20)
    judged(*range(91, 105), judge=judge)
    assert judge.state(at(104)).unsafe
    assert not judged(105, judge=judge).state(at(105)).unsafe


def test_clouds_may_pass_for_five_minutes():
    """They may have come right after the last clear picture, at minute 15."""
    judge = judged(*range(16))
    for minute in (16, 17, 18, 19):
        judge.add(picture(minute, 8), at(minute))
        assert not judge.state(at(minute)).unsafe
    assert not judge.state(at(19.99)).unsafe
    assert judge.state(at(20)) == Safety(True, 'cloud cover above 4 oktas for 5 minutes', START + timedelta(minutes=20))
    passed = judged(*range(16))
    passed.add(picture(16, 8), at(16))
    judged(17, judge=passed)
    assert not passed.state(at(21.9)).unsafe


def test_between_the_limits_it_stays_as_it_is():
    rule = SafetyRule(cloud_above=4, cloud_below=2)
    judge = judged(*range(16), rule=rule)
    for minute in range(16, 60):
        judge.add(picture(minute, 3), at(minute))
    assert not judge.state(at(59)).unsafe
    fresh = SafetyJudge(rule, at(0))
    for minute in range(60):
        fresh.add(picture(minute, 3), at(minute))
    assert fresh.state(at(59)) == Safety(True, 'cloud cover above 2 oktas', START)


def test_what_is_compared_is_a_choice():
    """The expected cover of these pictures is half of the upper end, 6 eighths."""
    for by, unsafe in (('high', True), ('fraction', False)):
        judge = SafetyJudge(SafetyRule(cloud_above=4, by=by), at(0))
        for minute in range(16):
            judge.add(picture(minute, 6), at(minute))
        assert judge.state(at(15)).unsafe is unsafe


BAD = {
    'refused': (dict(quality='refused', quality_reasons=['all black'], cloud=None), 'is refused: all black'),
    'doubtful': (dict(quality='doubtful', quality_reasons=['blurred', 'wet']), 'is doubtful: blurred, wet'),
    'without a quality': (dict(quality=None), 'the quality of the picture is unknown'),
    'of another quality': (dict(quality='fine'), 'the picture is fine'),
    'without cloud': (dict(cloud=None), 'is "clear sky" among the prompts?'),
    'not a number': (dict(cloud=dict(fraction=float('nan'), high=0.1)), 'no cloud cover: nan'),
    'more than all': (dict(cloud=dict(fraction=0.1, high=1.2)), 'no cloud cover: 0.1, at most 1.2'),
    'damaged': (dict(cloud=dict(fraction=0.1)), 'is damaged'),
    'of yesterday': (dict(time=(START - timedelta(hours=24)).isoformat()), 'the picture is 24 hours old'),
    'of tomorrow': (dict(time=(START + timedelta(days=1)).isoformat()), 'from the future by 23 hours'),
    'of no zone': (dict(time='2025-01-31T22:16:00'), 'has no time zone'),
    'of no time at all': (dict(time='now'), "Invalid isoformat string: 'now'"),
    'unreadable': (dict(error='cut short'), 'a picture could not be read'),
    'of an old file': (dict(time=None, version=[5, int(START.timestamp() * 1e9)]), 'the picture is 16 minutes old'),
}


@pytest.mark.parametrize('kind', BAD)
def test_a_bad_picture_is_unsafe_at_once(kind):
    changes, reason = BAD[kind]
    judge = judged(*range(16))
    judge.add(picture(16, **changes), at(16))
    found = judge.state(at(16))
    assert found.unsafe and reason in found.reason and found.since == START + timedelta(minutes=16)
    judged(*range(17, 32), judge=judge)
    assert judge.state(at(31)).unsafe
    assert not judged(32, judge=judge).state(at(32)).unsafe


def test_doubtful_pictures_may_be_trusted_but_refused_ones_never():
    judge = SafetyJudge(SafetyRule(cloud_above=4, quality=('refused',)), at(0))
    for minute in range(16):
        judge.add(picture(minute, quality='doubtful'), at(minute))
    assert not judge.state(at(15)).unsafe
    judge.add(picture(16, quality='refused', cloud=None), at(16))
    assert judge.state(at(16)).unsafe


def test_files_that_are_no_pictures_change_nothing():
    judge = judged(*range(16))
    judge.add(dict(name='fifo.jpg', skipped='a FIFO'), at(16))
    assert not judge.state(at(16)).unsafe


def test_a_picture_without_a_time_has_that_of_its_arrival():
    judge = SafetyJudge(RULE, at(0))
    for minute in range(16):
        judge.add(picture(minute, time=None), at(minute))
    assert not judge.state(at(19.9)).unsafe
    assert judge.state(at(20)).unsafe


def test_a_camera_that_repeats_a_picture_is_unsafe():
    judge = judged(*range(16))
    for minute in range(16, 30):
        judge.add(picture(15), at(minute))
        assert judge.state(at(minute)).unsafe is (minute >= 20)


def test_pictures_that_waited_count_only_from_their_arrival():
    """Fifteen minutes of pictures that come at once are no fifteen minutes of watching."""
    judge = SafetyJudge(SafetyRule(cloud_above=4, no_picture_minutes=30), at(20))
    for minute in range(5, 21):
        judge.add(picture(minute), at(20 + minute / 100))
    assert judge.state(at(20.2)).unsafe
    assert not judged(21, 27, 36, judge=judge).state(at(36)).unsafe


@pytest.mark.parametrize('clock', [-60, -2, 60])
def test_a_clock_that_is_set_makes_it_unsafe(clock):
    """As if the time came from the network, an hour off; also for pictures that have their times from that clock."""
    judge = judged(*range(16))
    assert judge.state(at(16, clock=clock)).unsafe
    judge.add(picture(16 + clock), at(16, clock=clock))
    for minute in range(17, 31):
        judge.add(picture(minute + clock), at(minute, clock=clock))
        assert judge.state(at(minute, clock=clock)).unsafe
    judge.add(picture(31 + clock), at(31, clock=clock))
    assert not judge.state(at(31, clock=clock)).unsafe


def test_a_clock_that_stands_still_hides_no_silence():
    judge = judged(*range(16))
    assert judge.state(Moment(at(15).wall, at(21).monotonic)).unsafe


def test_a_clock_that_is_set_a_little_back_prolongs_nothing():
    judge = judged(*range(16))
    assert not judge.state(at(19.9, clock=-0.9)).unsafe
    assert judge.state(at(20, clock=-0.9)).reason == 'no picture for 5 minutes'


def test_a_camera_whose_clock_is_a_little_ahead_prolongs_nothing():
    judge = judged(*range(15))
    judge.add(picture(15.5), at(15))
    assert not judge.state(at(19.9)).unsafe
    assert judge.state(at(20)).reason == 'no picture for 5 minutes'


def test_a_picture_that_comes_after_a_later_one_adds_nothing():
    judge = judged(*range(16))
    judge.add(picture(14), at(17))
    assert not judge.state(at(19.9)).unsafe
    assert judge.state(at(20)).since == START + timedelta(minutes=20)
    waiting = judged(*range(1, 15))
    waiting.add(picture(13.5, 8), at(15))
    judged(16, judge=waiting)
    assert waiting.state(at(16)).reason == 'clear since 22:16:00 UTC, not yet for 15 minutes'


LIMITS = st.tuples(st.floats(3, 7.9), st.floats(0.7, 1)) | st.tuples(st.floats(0, 7.9), st.floats(0, 1))
RULES = st.builds(
    lambda limits, cloudy, safe, silent, by: SafetyRule(
        cloud_above=limits[0],
        cloud_below=limits[0] * limits[1],
        for_minutes=cloudy,
        safe_after_minutes=safe,
        no_picture_minutes=silent,
        by=by,
    ),
    LIMITS,
    st.floats(0, 12),
    st.floats(1, 10),
    st.floats(0.1, 9),
    st.sampled_from(['high', 'fraction']),
)
# Each event: minutes since the one before, age of the picture in minutes, cover in eighths or None for a refused one.
EVENT = st.tuples(st.floats(0, 4), st.floats(-0.5, 3) | st.floats(-5, 30), st.floats(0, 8) | st.none())
CLEAR = st.tuples(st.floats(0.5, 1.5), st.floats(0, 0.5), st.floats(0, 2))
STEADY = CLEAR | CLEAR | CLEAR | st.tuples(st.floats(0.5, 1.5), st.floats(0, 0.5), st.floats(0, 8))
RUN = st.lists(CLEAR, min_size=10, max_size=25)
MIXED = st.lists(STEADY | EVENT, max_size=12)
EVENTS = st.lists(EVENT, max_size=30) | st.tuples(RUN, MIXED).map(lambda parts: [*parts[0], *parts[1]])


def lines_of(events):
    """Return the lines of events, each with the minute of its arrival."""
    now, lines = 0.0, []
    for wait, age, eighths in events:
        now += wait
        refused = dict(quality='refused', cloud=None)
        lines.append((now, picture(now - age) | refused if eighths is None else picture(now - age, eighths)))
    return lines


def run(rule, lines, until):
    judge = SafetyJudge(rule, at(0))
    for now, line in lines:
        judge.add(line, at(now))
    return judge.state(at(until))


def cover_of(line, rule):
    return None if line['cloud'] is None else 8 * line['cloud'][rule.by]


def has_seen_enough(rule, lines, until):
    """Whether a stretch of clear pictures, long enough, has nothing after it that ends it: from the definition.

    Times are in minutes: the arrival of each picture, and when it was taken.
    """
    limit = rule.cloud_above if rule.cloud_below is None else rule.cloud_below
    silent, seen = rule.no_picture_minutes, []
    for now, line in lines:
        taken = (datetime.fromisoformat(line['time']) - START).total_seconds() / 60
        bad = cover_of(line, rule) is None or taken > now + 1 or now - taken >= silent
        seen.append((now, min(taken, now), None if bad else cover_of(line, rule)))
    for first in range(len(seen)):
        for last in range(first, len(seen)):
            stretch, after = seen[first : last + 1], seen[last + 1 :]
            if any(cover is None or cover > limit for _, _, cover in stretch):
                break
            times = [max(taken for _, taken, _ in stretch[: n + 1]) for n in range(len(stretch))]
            long = min(times[-1] - times[0], stretch[-1][0] - stretch[0][0]) >= rule.safe_after_minutes - 1e-6
            if long and holds(rule, stretch, after, until):
                return True
    return False


def holds(rule, stretch, after, until):
    """Whether pictures came often enough, none after the stretch was bad, and no cloud lasted."""
    taken, clear = -1e9, stretch[0][1]
    for now, time, cover in [*stretch, *after, (until, 1e9, 0.0)]:
        if cover is None or (taken > -1e9 and now - taken > rule.no_picture_minutes + 1e-6):
            return False
        if (now, time, cover) != stretch[0] and taken > clear and now - clear > rule.for_minutes + 1e-6:
            return False
        if time > taken and now < until + 1 and time < 1e8:
            taken = time
            clear = time if cover <= rule.cloud_above else clear
    return True


@given(RULES, EVENTS, st.floats(0, 12))
def test_it_is_never_safe_without_evidence_for_the_whole_time(rule, events, wait):
    lines = lines_of(events)
    until = (lines[-1][0] if lines else 0) + wait
    if not run(rule, lines, until).unsafe:
        assert has_seen_enough(rule, lines, until)


@given(RULES, EVENTS, st.floats(0, 3), st.data())
def test_a_bad_picture_never_makes_it_safe(rule, events, wait, data):
    lines = lines_of(events)
    until = (lines[-1][0] if lines else 0) + wait
    place = data.draw(st.integers(0, len(lines)))
    before, after = (lines[place - 1][0] if place else 0), (lines[place][0] if place < len(lines) else until)
    now = data.draw(st.floats(before, max(before, after)))
    changes, _ = BAD[data.draw(st.sampled_from([*BAD]))]
    more = [*lines[:place], (now, picture(now) | changes), *lines[place:]]
    assert run(rule, more, until).unsafe >= run(rule, lines, until).unsafe


@given(RULES, EVENTS, st.floats(0, 3), st.data())
def test_more_cloud_never_makes_it_safe(rule, events, wait, data):
    lines = lines_of(events)
    until = (lines[-1][0] if lines else 0) + wait
    more = [(now, picture(0, 8) | dict(time=line['time']) if data.draw(st.booleans()) else line) for now, line in lines]
    more = [(now, line if old['cloud'] else old) for (now, line), (_, old) in zip(more, lines, strict=True)]
    assert run(rule, more, until).unsafe >= run(rule, lines, until).unsafe


@given(RULES, EVENTS, st.lists(st.floats(0, 1), max_size=5))
def test_asking_changes_nothing(rule, events, asked):
    lines = lines_of(events)
    judge, until = SafetyJudge(rule, at(0)), (lines[-1][0] if lines else 0)
    for place, (now, line) in enumerate(lines):
        judge.add(line, at(now))
        following = lines[place + 1][0] if place + 1 < len(lines) else now
        for part in sorted(asked):
            judge.state(at(now + part * (following - now)))
    assert judge.state(at(until)) == run(rule, lines, until)


def test_some_runs_are_safe():
    """The properties above are not empty: a steady clear sky is safe, by the rule and by its definition."""
    lines = lines_of([(1.0, 0.1, 1.0)] * 30)
    assert not run(RULE, lines, 31).unsafe and has_seen_enough(RULE, lines, 31)
    assert run(RULE, lines, 36).unsafe and not has_seen_enough(RULE, lines, 36)


def test_a_camera_file_has_the_rule(tmp_path):
    file = tmp_path / 'camera.yaml'
    file.write_text('unsafe: {cloud_above: 4, for_minutes: 3, quality: [refused], by: fraction, cloud_below: 2}\n')
    rule = SkyCamera.load(file).unsafe
    assert rule == SafetyRule(cloud_above=4, for_minutes=3, quality=('refused',), by='fraction', cloud_below=2)
    file.write_text('north: 3\n')
    assert SkyCamera.load(file).unsafe is None


@pytest.mark.parametrize(
    'text, message',
    [
        ('4', 'expected settings such as "cloud_above: 4"'),
        ('{for_minutes: 4}', 'expected settings such as "cloud_above: 4"'),
        ('{cloud_above: 4, minutes: 4}', 'no such settings: minutes. There are cloud_above'),
        ('{cloud_above: 8}', 'no sky has more than 8 eighths'),
        ('{cloud_above: -1}', 'of at least 0'),
        ('{cloud_above: true}', 'expected a number'),
        ('{cloud_above: many}', "cloud_above='many': expected a number"),
        ('{cloud_above: .nan}', 'expected a finite number'),
        ('{cloud_above: 4, cloud_below: 5}', 'cloud_below=5: expected a finite number of at least 0, at most 4'),
        ('{cloud_above: 4, safe_after_minutes: 0}', 'above 0'),
        ('{cloud_above: 4, no_picture_minutes: 0}', 'above 0'),
        ('{cloud_above: 4, for_minutes: -1}', 'of at least 0'),
        ('{cloud_above: 4, quality: [doubtful]}', r'expected \[doubtful, refused\]'),
        ('{cloud_above: 4, quality: [refused, bad]}', r'expected \[doubtful, refused\]'),
        ('{cloud_above: 4, quality: {a: 1}}', r'expected \[doubtful, refused\]'),
        ('{cloud_above: 4, quality: refused}', r"quality='refused': expected \[doubtful, refused\]"),
        ('{cloud_above: 4, quality: [[1]]}', r'expected \[doubtful, refused\]'),
        ('{cloud_above: 4, by: low}', 'expected one of high, fraction'),
        ('{cloud_above: 4, by: [high]}', 'expected one of high, fraction'),
    ],
)
def test_what_is_wrong_with_a_rule_is_named(tmp_path, text, message):
    (tmp_path / 'camera.yaml').write_text(f'unsafe: {text}\n')
    with pytest.raises(ValueError, match=message) as error:
        SkyCamera.load(tmp_path / 'camera.yaml')
    assert 'camera.yaml: unsafe: ' in str(error.value)


def test_a_rule_that_is_none_is_refused():
    with pytest.raises(ValueError, match='expected a SafetyRule'):
        SkyCamera(unsafe=dict(cloud_above=4))
