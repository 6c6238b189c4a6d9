"""The announcement to Home Assistant, with its templates rendered as Home Assistant does, by Jinja."""

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hyperbolic_seg.app.outputs.home_assistant import Announced, device_id, discovery, discovery_topic
from hyperbolic_seg.app.outputs.mqtt_address import MqttAddress

ADDRESS = MqttAddress.parse('mqtt://broker/sky/the%20roof?expire_after=600')
NOW = datetime(2025, 6, 1, 12, 0, tzinfo=timezone.utc)
RECORD = dict(
    time=(NOW - timedelta(seconds=30)).isoformat(),
    sun=dict(elevation=40.567, azimuth=180.0, phase='day'),
    cloud=dict(fraction=0.2537, low=0.2, high=0.3, oktas=2),
    cover={'clear sky': dict(fraction=0.7463, low=0.7, high=0.8, oktas=6)},
    fractions={'clear sky': 0.5, 'obstruction': 0.5},
    quality='doubtful',
    quality_reasons=['drops on the dome'],
)


def as_timestamp(value, default=None):
    """As the documentation of Home Assistant's templates has it: seconds of a time or its text, else the default."""
    try:
        return (value if isinstance(value, datetime) else datetime.fromisoformat(value)).timestamp()
    except (TypeError, ValueError):
        return default


ENVIRONMENT = ImmutableSandboxedEnvironment()
ENVIRONMENT.globals.update(now=lambda: NOW, as_timestamp=as_timestamp)


def render(template, payload):
    """Return what Home Assistant takes for the value: 'None' is unknown."""
    return ENVIRONMENT.from_string(template).render(value_json=json.loads(json.dumps(payload)))


def values(record, known=RECORD):
    """Return the value of every sensor by its name."""
    components = discovery(ADDRESS, Announced().after(known))['components'].values()
    return {component['name']: render(component['value_template'], record) for component in components}


def test_the_announcement_is_as_documented():
    """https://www.home-assistant.io/integrations/mqtt/ and those of sensor.mqtt and binary_sensor.mqtt."""
    found = discovery(ADDRESS, Announced(camera=True, shares=(('cover', 'cumulus'),), safety=True))
    assert discovery_topic(ADDRESS) == f'homeassistant/device/{device_id(ADDRESS)}/config'
    assert device_id(ADDRESS).replace('_', '').replace('-', '').isalnum() and device_id(ADDRESS).isascii()
    assert found['device']['identifiers'] == [device_id(ADDRESS)] and found['origin']['name']
    assert found['state_topic'] == 'sky/the roof/state' and found['availability_topic'] == 'sky/the roof/availability'
    components = found['components'].values()
    assert len({component['unique_id'] for component in components}) == len(components) == 7
    for component in components:
        assert component['expire_after'] == (600 if component['name'] != 'Unsafe' else 60)
        options, numeric = component.get('options'), 'state_class' in component
        assert not (options and numeric) and numeric == ('unit_of_measurement' in component)
        assert component['platform'] == ('sensor' if component['name'] != 'Unsafe' else 'binary_sensor')
    classes = {component['name']: component.get('device_class') for component in components}
    assert classes['Time of the picture'] == 'timestamp' and classes['Quality'] == 'enum'
    assert classes['Unsafe'] == 'safety' and found['components']['unsafe']['state_topic'] == 'sky/the roof/safety'


def test_cameras_with_similar_prefixes_are_different_devices():
    ids = {device_id(ADDRESS._replace(prefix=prefix)) for prefix in ('a/b', 'a_b', 'a b')}
    assert len(ids) == 3


def test_values_of_a_record():
    assert values(RECORD) == {
        'Cloud cover': '25.4',
        'Oktas': '2',
        'Sun elevation': '40.57',
        'Quality': 'doubtful',
        'Time of the picture': '2025-06-01T11:59:30+00:00',
        'Cover: clear sky': '74.6',
    }
    quality = discovery(ADDRESS, Announced(camera=True))['components']['quality']
    attributes = json.loads(render(quality['json_attributes_template'], RECORD))
    assert attributes == dict(reasons=['drops on the dome'], error=None)


def test_what_a_refused_picture_does_not_tell_is_unknown():
    refused = {**RECORD, 'cloud': None, 'cover': {}, 'quality': 'refused'}
    del refused['fractions']
    found = values(refused)
    assert found['Cloud cover'] == found['Oktas'] == found['Cover: clear sky'] == 'None'
    assert found['Quality'] == 'refused' and found['Sun elevation'] == '40.57'


@pytest.mark.parametrize('record', [dict(error='no image'), dict(RECORD, time=None, sun=None, cloud=None), {}])
def test_a_template_never_fails(record):
    """Home Assistant drops a message whose template fails, and would go on showing the value before."""
    assert values(record)['Cloud cover'] == 'None'


def test_pictures_of_another_time_show_no_value():
    """As when a folder of old pictures is caught up on, or the clock of a camera is wrong."""
    for seconds, expected in ((-599, '25.4'), (-601, 'None'), (599, '25.4'), (601, 'None')):
        record = {**RECORD, 'time': (NOW + timedelta(seconds=seconds)).isoformat()}
        assert values(record)['Cloud cover'] == expected
        assert values(record)['Time of the picture'] == record['time']
    assert values({**RECORD, 'time': None})['Cloud cover'] == '25.4', 'its time is unknown'
    assert values({**RECORD, 'quality': 'another'})['Quality'] == 'None'


def test_without_a_camera_shares_of_the_image_are_announced():
    record = dict(fractions={'clear sky': 0.25, 'cloud': 0.75})
    assert values(record, record) == {'Share of the image: clear sky': '25.0', 'Share of the image: cloud': '75.0'}


def test_classes_are_announced_as_they_come():
    first = Announced().after(dict(cloud=None, cover={}))
    assert first == Announced(camera=True)
    second = first.after(RECORD)
    assert second.shares == (('cover', 'clear sky'),) and second.after(RECORD) == second


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=('Cs',)), min_size=1))
@example('thin "icy" \\streaks {{ }} %} \n#}\'')
@example('☁ 🌩')
def test_any_prompt_may_be_the_name_of_a_class(name):
    record = dict(cloud=None, cover={name: dict(fraction=0.5, oktas=4)})
    assert values(record, record)[f'Cover: {name}'] == '50.0'


@pytest.mark.parametrize(
    ('payload', 'expected'),
    [(dict(unsafe=False), 'OFF'), (dict(unsafe=True), 'ON'), ({}, 'ON'), (None, 'ON'), (dict(unsafe=0), 'ON')],
)
def test_only_a_clear_word_says_safe(payload, expected):
    template = discovery(ADDRESS, Announced(safety=True))['components']['unsafe']['value_template']
    assert render(template, payload) == expected
