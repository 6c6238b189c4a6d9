"""The state of safety as a file and as messages, kept true by a timer also when no picture comes."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any, Protocol, runtime_checkable

from hyperbolic_seg.app.outputs.base import fault
from hyperbolic_seg.files import own_path, write_whole
from hyperbolic_seg.sky.camera import Moment, Safety, SafetyJudge, SafetyRule

FILE = 'safety.json'
INTERVAL = 1.0
"""Seconds between two looks at the clock: a change by silence is published that much later at most."""
REPEAT = 20.0
"""Seconds after which the same state is told again."""
LIFETIME = timedelta(seconds=60)
"""Time for which a state is true; afterwards the process has ended or hangs, and it is unsafe."""

Publish = Callable[[dict[str, Any]], None]
"""Function of a state: ``unsafe``, ``reason``, ``since``, ``time``, and ``expires``, from when on it is unsafe."""


@runtime_checkable
class SafetyPublisher(Protocol):
    """An output that also takes the state of safety."""

    def publish_safety(self, state: dict[str, Any]) -> None:
        """Take a state, from any thread; see :data:`Publish`."""


class SafetyOutput:
    """Judges the lines of watch, and tells others: in ``OUT/safety.json``, and by functions at each change.

    It begins and ends unsafe; nothing from before the start counts. After a fault of the judgment it stays unsafe until
    the next start.

    Args:
        rule: The rule of the camera.
        out_dir: Folder of the results.
        publish: Called with the state at the start, when it or its reason changes, every :data:`REPEAT` seconds
            because it expires, and at the end; one call at a time, from any thread. What fails is tried again.
        on_error: Called with a message for people when the file or a function fails; once in a row for each of them.
        clock: Function that returns the present.

    Raises:
        OSError: The file cannot be written, or is a link or a folder.
    """

    def __init__(
        self,
        rule: SafetyRule,
        out_dir: str | Path,
        *,
        publish: Sequence[Publish] = (),
        on_error: Callable[[str], None],
        clock: Callable[[], Moment] = Moment.now,
    ) -> None:
        self.rule = rule
        self._file = own_path(out_dir, FILE)
        self._on_error, self._clock = on_error, clock
        self._judge, self._judging, self._telling = SafetyJudge(rule, clock()), Lock(), Lock()
        self._listeners = [_Listener(function) for function in (self._write, *publish)]
        self._stopped: Safety | None = None
        self._end = Event()
        self._write(self._state()[0])
        self._tell()
        self._timer = Thread(target=self._look, name='safety', daemon=True)
        self._timer.start()

    def add(self, line: Mapping[str, Any]) -> None:
        """Take a line, and tell others if it changes the state.

        Raises:
            Exception: The line cannot be judged. It is unsafe from now on.
        """
        try:
            with self._judging:
                self._judge.add(line, self._clock())
        except Exception as error:
            self._fail(error)
            raise
        finally:
            self._tell()

    def safety(self) -> Safety:
        """Return the state at present; any thread may ask."""
        return self._state()[1]

    def close(self) -> None:
        """Stop, and say that it is unsafe from now on."""
        self._end.set()
        self._timer.join()
        last, now = self.safety(), self._clock().wall
        self._stopped = Safety(True, 'the program was stopped', last.since if last.unsafe else now)
        self._tell()

    def _state(self) -> tuple[dict[str, Any], Safety]:
        """Return the state for JSON, and as it is."""
        with self._judging:
            now = self._clock()
            found, until = self._judged(now)
        expires = now.wall + LIFETIME
        if not found.unsafe and until is not None:
            expires = min(expires, until)
        moments = dict(since=_utc(found.since), time=_utc(now.wall), expires=_utc(expires))
        return dict(unsafe=found.unsafe, reason=found.reason) | moments, found

    def _judged(self, now: Moment) -> tuple[Safety, datetime | None]:
        """Return the state, and when it is unsafe at the latest."""
        found = self._stopped
        if found is None:
            try:
                return self._judge.state(now), self._judge.until()
            except Exception as error:  # the timer has to go on
                found = self._fail(error)
                self._on_error(f'the safety of the sky cannot be judged any more: {fault(error)}')
        return found, None

    def _fail(self, error: Exception) -> Safety:
        """Stay unsafe, because the judgment may have seen half of a picture."""
        self._stopped = Safety(True, f'the last picture could not be judged: {fault(error)}', self._clock().wall)
        return self._stopped

    def _look(self) -> None:
        while not self._end.wait(INTERVAL):
            self._tell()

    def _tell(self) -> None:
        """Tell each listener the state if it is due; what fails keeps nothing from the others."""
        with self._telling:
            state, found = self._state()
            for listener in self._listeners:
                if message := listener.tell(state, found, self._clock().monotonic):
                    self._on_error(f'the state of safety could not be told: {message}')

    def _write(self, state: dict[str, Any]) -> None:
        write_whole(self._file, json.dumps(state).encode() + b'\n')


class _Listener:
    """A function that is told news, and again what it heard before after some time."""

    def __init__(self, function: Publish) -> None:
        self._function = function
        self._heard: tuple[bool, str] | None = None
        self._at, self._failed = 0.0, ''

    def tell(self, state: dict[str, Any], found: Safety, now: float) -> str:
        """Call the function if it is due; return a message for people, empty without a new failure."""
        news = found.unsafe, found.reason
        if news == self._heard and now - self._at < REPEAT:
            return ''
        try:
            self._function(state)
        except Exception as error:  # of a function of others, which must not end the timer
            message, before = ' '.join(str(error).split()) or type(error).__name__, self._failed
            self._heard, self._failed = None, message
            return '' if message == before else message
        self._heard, self._at, self._failed = news, now, ''
        return ''


def _utc(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec='milliseconds')
