"""The announcement of a camera to Home Assistant, which then shows its values without being configured.

The formats are those of Home Assistant's integration of MQTT: discovery of a device with its components, sensors and
binary sensors, https://www.home-assistant.io/integrations/mqtt/
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from hyperbolic_seg.app.outputs.mqtt_address import MqttAddress
from hyperbolic_seg.app.outputs.safety import LIFETIME
from hyperbolic_seg.sky.camera import QUALITIES
from hyperbolic_seg.version import __version__

_TITLES = {'cover': 'Cover', 'fractions': 'Share of the image'}
"""Records of a camera have the cover of the sky by class, others the share of the image."""


@dataclass(frozen=True)
class Announced:
    """Sensors that are announced: those for the keys that records have had so far."""

    camera: bool = False
    shares: tuple[tuple[str, str], ...] = ()
    """Pairs of a key of the record, ``'cover'`` or ``'fractions'``, and a class in it."""
    safety: bool = False

    def after(self, record: dict[str, Any]) -> 'Announced':
        """Return what is to be announced after another record, with classes in the order in which they came."""
        camera = self.camera or 'cloud' in record
        where = 'cover' if camera else 'fractions'
        found = [(where, name) for name in record.get(where) or ()]
        return replace(self, camera=camera, shares=tuple(dict.fromkeys([*self.shares, *found])))


def discovery_topic(address: MqttAddress) -> str:
    """Return the topic of the announcement."""
    return f'{address.discovery}/device/{device_id(address)}/config'


def device_id(address: MqttAddress) -> str:
    """Return an identifier of the camera that is the same at each start, of letters that a topic may have there."""
    return f'hyperbolic_seg_{re.sub("[^a-zA-Z0-9_-]", "_", address.prefix)}_{_digest(address.prefix)}'


def discovery(address: MqttAddress, announced: Announced) -> dict[str, Any]:
    """Return the announcement of a camera with a component for each value.

    A value is unknown in Home Assistant if the latest picture does not tell it, or if the time of that picture differs
    from the clock by more than ``expire_after`` seconds, as when old pictures are caught up on. It becomes unavailable
    if no picture comes for that long, or the command does not run; whether it is unsafe, if that is not told again for
    :data:`~hyperbolic_seg.app.outputs.safety.LIFETIME`.
    """
    device = device_id(address)
    components = _components(address, announced)
    for name, component in components.items():
        component |= dict(expire_after=address.expire_after) | component | dict(unique_id=f'{device}_{name}')
    about = dict(name='hyperbolic_seg', sw_version=__version__)
    return dict(
        device=dict(
            identifiers=[device],
            name=f'Sky camera {address.prefix}',
            manufacturer='hyperbolic_seg',
            model='Sky camera',
            sw_version=__version__,
        ),
        origin=about | dict(support_url='https://hyperbolic-seg.readthedocs.io'),
        availability_topic=f'{address.prefix}/availability',
        state_topic=f'{address.prefix}/state',
        qos=1,
        components=components,
    )


def _components(address: MqttAddress, announced: Announced) -> dict[str, dict[str, Any]]:
    age = address.expire_after
    components = _camera_sensors(address) if announced.camera else {}
    for where, name in announced.shares:
        keys = (where, name, 'fraction') if where == 'cover' else (where, name)
        title = f'{_TITLES[where]}: {name}'
        components[f'{where}_{_digest(name)}'] = _number(title, '%', _fresh(age, '(100 * value) | round(1)', *keys))
    if announced.safety:
        components['unsafe'] = dict(
            platform='binary_sensor',
            name='Unsafe',
            device_class='safety',  # on means unsafe
            expire_after=int(LIFETIME.total_seconds()),  # however long a cover holds, it is told again before
            state_topic=f'{address.prefix}/safety',
            # Off only for what says so: whatever else comes is no reason to open a roof.
            value_template="{{ 'OFF' if value_json is mapping and value_json.get('unsafe') is false else 'ON' }}",
            json_attributes_topic=f'{address.prefix}/safety',
            json_attributes_template=f"{{{{ {{'reason': {_at('reason')}}} | tojson }}}}",
        )
    return components


def _camera_sensors(address: MqttAddress) -> dict[str, dict[str, Any]]:
    age, time, reasons = address.expire_after, _at('time'), f'{_at("quality_reasons")} or []'
    return dict(
        cloud=_number('Cloud cover', '%', _fresh(age, '(100 * value) | round(1)', 'cloud', 'fraction')),
        oktas=_number('Oktas', 'oktas', _fresh(age, 'value', 'cloud', 'oktas')),
        sun=_number('Sun elevation', '°', _fresh(age, 'value | round(2)', 'sun', 'elevation')),
        quality=dict(
            platform='sensor',
            name='Quality',
            device_class='enum',
            options=list(QUALITIES),
            # Home Assistant would keep the value before one that is not among the options.
            value_template=_fresh(age, f'value if value in {list(QUALITIES)} else none', 'quality'),
            json_attributes_topic=f'{address.prefix}/state',
            json_attributes_template=f"{{{{ {{'reasons': {reasons}, 'error': {_at('error')}}} | tojson }}}}",
        ),
        time=dict(
            platform='sensor', name='Time of the picture', device_class='timestamp', value_template=f'{{{{ {time} }}}}'
        ),
    )


def _number(name: str, unit: str, template: str) -> dict[str, Any]:
    return dict(
        platform='sensor', name=name, unit_of_measurement=unit, state_class='measurement', value_template=template
    )


def _fresh(seconds: int, shown: str, *keys: str) -> str:
    """Return a template that shows a value of a record, or None if it is missing or of another time.

    Args:
        seconds: Largest difference between the time of the picture and the clock.
        shown: Expression of the ``value``.
        *keys: Where the value is in the record.
    """
    return (
        f'{{% set value, time = {_at(*keys)}, as_timestamp({_at("time")}, none) %}}'
        f'{{% set fresh = time is none or (as_timestamp(now()) - time) | abs <= {seconds} %}}'
        f'{{{{ ({shown}) if value is not none and fresh else none }}}}'
    )


def _at(*keys: str) -> str:
    """Return an expression of Jinja for a value in nested mappings, none if one of them lacks it or is none."""
    expression = 'value_json'
    for key in keys:
        # A literal of Jinja has the escapes of Python, in which JSON's pairs of surrogates would be two characters.
        expression = f'({expression} or {{}}).get({json.dumps(key, ensure_ascii=False)})'
    return expression


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]
