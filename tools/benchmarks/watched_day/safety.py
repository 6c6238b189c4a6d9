"""A kill of the command while it says that the sky is safe."""

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from watched_day.camera import photograph
from watched_day.checks import Row
from watched_day.command import PATIENCE, Setting, started
from watched_day.ends import is_safe

LIFETIME = 60.0
"""Seconds for which ``safety.json`` may hold, by the documentation."""


def wait_for_state(file: Path, after: datetime, *, unsafe: bool) -> dict[str, Any]:
    """Return the state of safety as soon as it is as expected.

    Raises:
        TimeoutError: It is not.
    """
    state: dict[str, Any] = {}
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        state = json.loads(file.read_bytes()) if file.exists() else {}
        if state and datetime.fromisoformat(state['time']) > after and state['unsafe'] is unsafe:
            return state
        time.sleep(0.05)
    raise TimeoutError(f'{file} has {state}')


def holds_unsafe(file: Path) -> bool:
    """Return what a reader takes from the state of safety now."""
    state = json.loads(file.read_bytes())
    return bool(state['unsafe'] or datetime.now(timezone.utc) >= datetime.fromisoformat(state['expires']))


def check_safety(setting: Setting, size: int) -> Iterator[Row]:
    """Kill the command while the sky is safe, and start it again."""
    watched, file, stop = setting.folder / 'now', setting.folder / 'safe' / 'safety.json', threading.Event()
    watched.mkdir()
    command, log, begin = setting.command('now', 'safe'), setting.folder / 'safe.log', datetime.now(timezone.utc)
    camera = threading.Thread(target=photograph, args=(watched, size, stop))
    camera.start()
    try:
        with started(command, log):
            wait_for_state(file, begin, unsafe=False)
            yield Row('Alpaca: safe under a clear sky', True, is_safe(setting.alpaca_port))
        killed = datetime.now(timezone.utc)
        yield Row('Alpaca: no answer after a kill', None, is_safe(setting.alpaca_port))
        expires = datetime.fromisoformat(json.loads(file.read_bytes())['expires'])
        yield Row('safety.json: safe right after a kill', False, holds_unsafe(file))
        yield Row('safety.json: expires within a minute', True, 0 < (expires - killed).total_seconds() <= LIFETIME)
        time.sleep(LIFETIME)
        yield Row('safety.json: unsafe a minute after a kill', True, holds_unsafe(file))
        with started(command, log):
            state = wait_for_state(file, killed, unsafe=True)
            yield Row('safety.json: unsafe at the next start', 'no picture has come yet', state['reason'])
    finally:
        stop.set()
        camera.join()
