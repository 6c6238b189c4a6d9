"""The two devices: a safety monitor (ISafetyMonitorV3) and observing conditions (IObservingConditionsV2)."""

from collections.abc import Callable, Mapping
from datetime import timezone
from typing import Any

from hyperbolic_seg.app.outputs.alpaca.protocol import (
    INVALID_VALUE,
    NOT_CONNECTED,
    NOT_IMPLEMENTED,
    VALUE_NOT_SET,
    AlpacaError,
    Parameters,
)
from hyperbolic_seg.sky.camera import Evidence, Moment, Safety
from hyperbolic_seg.version import __version__

Member = Callable[[Parameters], Any]
Clock = Callable[[], Moment]

_CLIENTS = 1000
_SENSORS = (
    'CloudCover',
    'DewPoint',
    'Humidity',
    'Pressure',
    'RainRate',
    'SkyBrightness',
    'SkyQuality',
    'SkyTemperature',
    'StarFWHM',
    'Temperature',
    'WindDirection',
    'WindGust',
    'WindSpeed',
)


class Device:
    """Base of Alpaca devices. Each client connects by itself, so that none disconnects another one.

    Args:
        kind: Type of the device, such as ``'SafetyMonitor'``.
        name: Name of the device.
        description: What it is.
        unique_id: The same at each start, and that of no other device.
        interface: Version of the interface.
        clock: Function that returns the present.
    """

    def __init__(self, kind: str, name: str, description: str, *, unique_id: str, interface: int, clock: Clock) -> None:
        self.kind, self.name, self.description, self.unique_id = kind, name, description, unique_id
        self.clock = clock
        self._clients: dict[int, None] = {}  # in the order in which they connected
        self.reads: dict[str, Member] = dict(
            connected=lambda asked: asked.client in self._clients,
            connecting=lambda asked: False,  # connecting takes no time
            description=lambda asked: description,
            devicestate=self._device_state,
            driverinfo=lambda asked: f'hyperbolic_seg {__version__}, an Alpaca device of a sky camera',
            driverversion=lambda asked: '.'.join(__version__.split('.')[:2]),
            interfaceversion=lambda asked: interface,
            name=lambda asked: name,
            supportedactions=lambda asked: [],
        )
        self.writes: dict[str, Member] = dict(
            action=self._refuse_action,
            commandblind=self._refuse_command,
            commandbool=self._refuse_command,
            commandstring=self._refuse_command,
            connect=lambda asked: self._connect(asked, True),
            connected=lambda asked: self._connect(asked, asked.boolean('Connected')),
            disconnect=lambda asked: self._connect(asked, False),
        )

    def state(self) -> Mapping[str, Any]:
        """Return the operational properties that have a value, by name."""
        raise NotImplementedError

    def about(self) -> Mapping[str, str]:
        """Return what a page says about the device at present."""
        raise NotImplementedError

    def needs_connection(self, asked: Parameters) -> None:
        """Check that a client is connected.

        Raises:
            AlpacaError: It is not.
        """
        if asked.client not in self._clients:
            raise AlpacaError(NOT_CONNECTED, f'{self.name} is not connected: set Connected to True first')

    def _connect(self, asked: Parameters, connect: bool) -> None:
        self._clients.pop(asked.client, None)
        if connect:
            self._clients[asked.client] = None
            if len(self._clients) > _CLIENTS:  # clients that ended without disconnecting
                del self._clients[next(iter(self._clients))]

    def _device_state(self, asked: Parameters) -> list[dict[str, Any]]:
        self.needs_connection(asked)
        now = self.clock().wall.astimezone(timezone.utc).isoformat(timespec='milliseconds')
        return [dict(Name=name, Value=value) for name, value in (*self.state().items(), ('TimeStamp', now))]

    def _refuse_action(self, asked: Parameters) -> None:
        for name in ('Action', 'Parameters'):
            asked.text(name)
        raise AlpacaError(NOT_IMPLEMENTED, f'{self.name} has no actions')

    def _refuse_command(self, asked: Parameters) -> None:
        asked.text('Command')
        asked.boolean('Raw')
        raise AlpacaError(NOT_IMPLEMENTED, f'{self.name} takes no commands')


class SafetyMonitor(Device):
    """Safety monitor: True where the rule says safe, False for a client that is not connected.

    Args:
        safety: Function that returns the state at present.
        unique_id, clock: See :class:`Device`.
    """

    def __init__(self, safety: Callable[[], Safety], *, unique_id: str, clock: Clock) -> None:
        about = 'Whether the clouds over a sky camera are safe for open instruments'
        super().__init__('SafetyMonitor', 'Sky camera safety', about, unique_id=unique_id, interface=3, clock=clock)
        self.safety = safety
        self.reads['issafe'] = lambda asked: bool(self.reads['connected'](asked)) and not safety().unsafe

    def state(self) -> Mapping[str, Any]:
        """Return whether it is safe."""
        return dict(IsSafe=not self.safety().unsafe)

    def about(self) -> Mapping[str, str]:
        """Return the state and the reason."""
        found = self.safety()
        state = 'unsafe' if found.unsafe else 'safe'
        return dict(state=state, reason=found.reason, since=found.since.isoformat(' ', 'seconds'))


class ObservingConditions(Device):
    """The cloud cover of the last picture, without averaging.

    Args:
        minutes: Age of a picture in minutes from which its cover is not told any more.
        quality: Qualities of pictures whose cover is not told.
        unique_id, clock: See :class:`Device`.
    """

    def __init__(self, minutes: float, quality: tuple[str, ...], *, unique_id: str, clock: Clock) -> None:
        about = 'Cloud cover from the pictures of a sky camera'
        super().__init__(
            'ObservingConditions', 'Sky camera clouds', about, unique_id=unique_id, interface=2, clock=clock
        )
        self._minutes, self._quality = minutes, quality
        self._evidence: Evidence | None = None
        self._reason = 'no picture has come yet'
        self.reads |= {name.lower(): self._missing(name) for name in _SENSORS}
        self.reads |= dict(
            averageperiod=self._average_period,
            cloudcover=self._cloud_cover,
            sensordescription=self._sensor_description,
            timesincelastupdate=self._time_since_last_update,
        )
        self.writes |= dict(averageperiod=self._set_average_period, refresh=self._refresh)

    def add(self, line: Mapping[str, Any]) -> None:
        """Take a line of watch; without a cover that can be told there is none, whatever goes wrong."""
        if 'skipped' in line:
            return
        evidence, reason = None, 'the last picture could not be judged'
        try:
            evidence = Evidence.of(line, self.clock(), minutes=self._minutes, quality=self._quality)
        except ValueError as error:
            reason = str(error)
        finally:
            self._evidence, self._reason = evidence, reason

    def cloud_cover(self) -> float:
        """Return the expected cloud cover in percent.

        Raises:
            AlpacaError: It is not known, or no longer.
        """
        return 100 * min(max(self._present().fraction, 0.0), 1.0)

    def state(self) -> Mapping[str, Any]:
        """Return the cloud cover, if it is known."""
        try:
            return dict(CloudCover=self.cloud_cover())
        except AlpacaError:
            return {}

    def about(self) -> Mapping[str, str]:
        """Return the cloud cover, or why it is not known."""
        try:
            return {'cloud cover': f'{self.cloud_cover():.0f} %'}
        except AlpacaError as error:
            return {'cloud cover': str(error)}

    def _present(self) -> Evidence:
        found, now = self._evidence, self.clock()
        if found is None:
            raise AlpacaError(VALUE_NOT_SET, f'the cloud cover is not known: {self._reason}')
        if not found.precedes(now) or found.age(now).total_seconds() >= 60 * self._minutes:
            raise AlpacaError(VALUE_NOT_SET, f'the cloud cover is not known: no picture for {self._minutes:g} minutes')
        return found

    def _cloud_cover(self, asked: Parameters) -> float:
        self.needs_connection(asked)
        return self.cloud_cover()

    def _missing(self, name: str) -> Member:
        def refuse(asked: Parameters) -> None:
            self.needs_connection(asked)
            raise AlpacaError(NOT_IMPLEMENTED, f'a sky camera does not measure {name}')

        return refuse

    def _average_period(self, asked: Parameters) -> float:
        self.needs_connection(asked)
        return 0.0

    def _set_average_period(self, asked: Parameters) -> None:
        self.needs_connection(asked)
        if asked.number('AveragePeriod') != 0:
            raise AlpacaError(INVALID_VALUE, 'the cloud cover is not averaged: expected an AveragePeriod of 0')

    def _refresh(self, asked: Parameters) -> None:
        self.needs_connection(asked)
        raise AlpacaError(NOT_IMPLEMENTED, 'pictures come when the camera takes them')

    def _sensor_description(self, asked: Parameters) -> str:
        self.needs_connection(asked)
        self._sensor(asked.text('SensorName'))
        return 'Share of the visible sky that clouds cover, weighted by solid angle, from pictures of a sky camera'

    def _time_since_last_update(self, asked: Parameters) -> float:
        self.needs_connection(asked)
        if asked.text('SensorName'):  # without a name, the time of any sensor is asked for
            self._sensor(asked.text('SensorName'))
        found = self._evidence
        if found is None:
            raise AlpacaError(VALUE_NOT_SET, f'the cloud cover is not known: {self._reason}')
        return found.age(self.clock()).total_seconds()

    def _sensor(self, name: str) -> None:
        """Check that a sensor is the one that there is.

        Raises:
            AlpacaError: It is another one, or none.
        """
        known = next((one for one in _SENSORS if one.lower() == name.lower()), None)
        if known is None:
            raise AlpacaError(INVALID_VALUE, f'no such sensor: expected one of {", ".join(_SENSORS)}')
        if known != 'CloudCover':
            raise AlpacaError(NOT_IMPLEMENTED, f'a sky camera does not measure {known}')
