"""A day of ``hyperbolic-seg watch`` with every output, killed again and again: is anything lost or told twice?

    python tools/benchmarks/watch_day.py --pictures 2000 --kills 10 --size 160 --work-dir work_dirs/watch_day

Renders the pictures of a fisheye camera over a day in UTC, each with clouds of its own and one in a hundred black, and
moves them into a watched folder. The command writes the series of the day, and tells an MQTT broker (``mosquitto``), a
webhook and Alpaca. It is killed (SIGKILL) at random pictures and started again. A table has a row for each start, with
the resident memory of the process after a warm-up and at its end; ``--kills 0`` shows it over a whole day. Another one
holds what each output has against the pictures. At last the command is killed while it says that the sky is safe.

The exit code is 1 if something is lost, told twice or wrong. Needs psutil, mosquitto and a system with SIGKILL.
"""

import argparse
import csv
import json
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import httpx
import numpy as np
import psutil
import xarray
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.subscribeoptions import SubscribeOptions

from hyperbolic_seg.sky.camera import Place
from hyperbolic_seg.sky.renderer import Camera, Ground, Station, render_station

START = datetime(2024, 6, 21, tzinfo=timezone.utc)
FORMAT = '%Y%m%d_%H%M%S_%f'
PLACE = Place(48.1, 11.6, 520.0)
DOME = 0.95
STATION = Station(Camera('fisheye', 90.0, 0.0, 180.0, dome_radius=DOME), Ground('hills', 8, 2), PLACE, 7)
CAMERA = """station: Benchmark
north: {north}
east: {east}
center: [{middle}, {middle}]
radius: {radius}
image_size: [{size}, {size}]
latitude: {place.latitude}
longitude: {place.longitude}
altitude: {place.altitude}
time_format: "{format}"
timezone: UTC
unsafe: {{cloud_above: 7.9, safe_after_minutes: 0.05, quality: [refused], by: fraction}}
"""
BLACK_EVERY = 100
WARM_UP = 50
"""Pictures of a start after which its memory is taken."""
PATIENCE = 600.0
"""Seconds without a new picture after which something is wrong."""
LIFETIME = 60.0
"""Seconds for which ``safety.json`` may hold, by the documentation."""


class Row(NamedTuple):
    """What an output was to have, and what it has."""

    what: str
    expected: Any
    found: Any


@dataclass
class Run:
    """A start of the command, and how it went.

    Attributes:
        before: Lines of the journal at the start.
        ending: How it ended.
        after: Lines of the journal at the end.
        first: Seconds until its first picture.
        memory: Resident memory in MiB by lines of the journal.
        answers: Answers of Alpaca to the question whether it is safe.
    """

    before: int
    ending: str = ''
    after: int = 0
    first: float | None = None
    memory: dict[int, float] = field(default_factory=dict)
    answers: list[bool] = field(default_factory=list)

    @property
    def warm(self) -> float | None:
        """Memory after the warm-up, if there was one."""
        return next((found for done, found in self.memory.items() if done >= self.before + WARM_UP), None)


class Setting(NamedTuple):
    """Folders, addresses and the camera file of the day."""

    folder: Path
    mqtt_port: int
    webhook_port: int
    alpaca_port: int

    def command(self, watched: str, out: str, *others: str) -> list[str]:
        """Return the command."""
        words = [sys.executable, '-m', 'hyperbolic_seg.app.cli.main', 'watch', self.folder / watched, '--series']
        words += ['--out', self.folder / out, '--camera', self.folder / 'camera.yaml']
        words += ['--mqtt', f'mqtt://127.0.0.1:{self.mqtt_port}/sky/{out}', '--alpaca', self.alpaca_port]
        return [*map(str, words), '--webhook', f'http://127.0.0.1:{self.webhook_port}/{out}', *others]


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--pictures', type=int, default=2000)
    parser.add_argument('--kills', type=int, default=10)
    parser.add_argument('--size', type=int, default=160, help='side of the pictures in pixels')
    parser.add_argument('--rate', type=float, default=10.0, help='pictures that arrive in a second')
    parser.add_argument('--seed', type=int, default=0, help='of the moments of the kills')
    parser.add_argument('--work-dir', type=Path, required=True, help='a new folder')
    return parser.parse_args()


# The camera


def render_day(folder: Path, count: int, size: int) -> list[str]:
    """Write the pictures of a day; return their names in order."""
    folder.mkdir()
    names = []
    for number in range(count):
        moment = START + timedelta(days=1) * number / count
        image = render_station(STATION, moment, size, clouds=number).image[:, :, ::-1]
        names.append(f'{moment:{FORMAT}}.jpg')
        black = number % BLACK_EVERY == BLACK_EVERY // 2
        cv2.imwrite(str(folder / names[-1]), np.zeros_like(image) if black else image)
    return names


def write_camera(folder: Path, size: int) -> None:
    """Write the camera file of the pictures."""
    camera = STATION.camera
    east, middle = 'left' if camera.east_left else 'right', size / 2 - 0.5
    lens = dict(north=camera.roll, east=east, middle=middle, radius=size / 2 * DOME)
    (folder / 'camera.yaml').write_text(CAMERA.format(**lens, size=size, place=PLACE, format=FORMAT))


def feed(source: Path, watched: Path, names: Sequence[str], rate: float) -> None:
    """Move pictures into the watched folder, one after the other."""
    for name in names:
        (source / name).replace(watched / name)
        time.sleep(1 / rate)


# The other ends


def free_port() -> int:
    """Return a port of this machine that nobody listens at."""
    with socket.create_server(('127.0.0.1', 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Run mosquitto; yield its port."""
    program = shutil.which('mosquitto') or shutil.which('mosquitto', path='/usr/sbin:/usr/local/sbin')
    if program is None:
        raise SystemExit('mosquitto is not installed')
    port, config = free_port(), folder / 'mosquitto.conf'
    config.write_text(f'listener {port} 127.0.0.1\nallow_anonymous true\n')
    process = subprocess.Popen([program, '-c', str(config)], stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield port
    finally:
        process.terminate()
        process.wait()


class Subscriber:
    """A client of the broker; ``messages`` are topics and payloads, in their order."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.on_connect = lambda client, *_: client.subscribe('sky/#', options=SubscribeOptions(qos=1))
        self._client.on_message = lambda client, _, message: self.messages.append((message.topic, message.payload))
        self._client.connect('127.0.0.1', port)
        self._client.loop_start()

    def of(self, topic: str) -> list[bytes]:
        """Return the payloads of a topic."""
        return [payload for each, payload in self.messages if each == topic]

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()


class Receiver(ThreadingHTTPServer):
    """The server of the webhook; ``posts`` are paths, keys and bodies, in their order."""

    daemon_threads = True

    def __init__(self) -> None:
        self.posts: list[tuple[str, str, bytes]] = []
        super().__init__(('127.0.0.1', 0), _Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of(self, path: str) -> list[tuple[str, bytes]]:
        """Return keys and bodies of a path."""
        return [(key, body) for each, key, body in self.posts if each == path]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver
    protocol_version = 'HTTP/1.1'

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.server.posts.append((self.path, self.headers['Idempotency-Key'], body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay silent."""


def is_safe(port: int) -> bool | None:
    """Ask Alpaca, as a client does that has connected; return ``None`` if nobody answers."""
    device, client = f'http://127.0.0.1:{port}/api/v1/safetymonitor/0', dict(ClientID=1, ClientTransactionID=1)
    try:
        httpx.put(f'{device}/connected', data=client | dict(Connected=True), timeout=10).raise_for_status()
        answer = httpx.get(f'{device}/issafe', params=client, timeout=10).json()
    except httpx.TransportError:
        return None
    if answer['ErrorNumber']:
        raise RuntimeError(f'Alpaca answers {answer}')
    return bool(answer['Value'])


# The command


class Lines:
    """Counts the complete lines of a file that grows."""

    def __init__(self, path: Path) -> None:
        self._path, self._end, self._count = path, 0, 0

    def count(self) -> int:
        """Return the number of lines."""
        if self._path.exists():
            with self._path.open('rb') as file:
                file.seek(self._end)
                new = file.read()
            self._end += new.rfind(b'\n') + 1
            self._count += new.count(b'\n')
        return self._count


@contextmanager
def started(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command, and kill it at the end if it still runs."""
    with log.open('ab') as messages:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=messages)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def run_until(setting: Setting, lines: Lines, target: int, *, delay: float = 0.0, last: bool = False) -> Run:
    """Run the command until the journal has some lines, and some seconds longer; kill it, or stop it if it is the last.

    Raises:
        RuntimeError: It has ended by itself, or makes no progress.
    """
    run, begin = Run(lines.count()), time.monotonic()
    changed, done, asked = begin, run.before, begin
    with started(setting.command('watched', 'day'), setting.folder / 'watch.log') as process:
        while done < target:
            time.sleep(0.1)
            now, before, done = time.monotonic(), done, lines.count()
            if process.poll() is not None or now - changed > PATIENCE:
                raise RuntimeError(f'no progress after {done} pictures: see {setting.folder / "watch.log"}')
            if done > before:
                changed, run.first = now, run.first or now - begin
                run.memory[done] = psutil.Process(process.pid).memory_info().rss / 2**20
            if now - asked > 2:
                asked, answer = now, is_safe(setting.alpaca_port)
                run.answers += [] if answer is None else [answer]
        time.sleep(delay)
        if last:
            process.terminate()
            begin = time.monotonic()
            process.wait(30)
            run.ending = f'SIGTERM, {time.monotonic() - begin:.1f} s'
        else:
            process.kill()
            process.wait()
            run.ending = 'SIGKILL'
    run.after = lines.count()
    return run


def run_day(setting: Setting, names: Sequence[str], kills: int, seed: int) -> Iterator[Run]:
    """Run the command over the day, kill it at random moments, and stop it at the end; yield each start."""
    chance, lines = random.Random(seed), Lines(setting.folder / 'day' / 'journal.jsonl')
    for target in sorted(chance.choices(range(len(names)), k=kills)):
        yield run_until(setting, lines, target, delay=chance.uniform(0, 2))
    yield run_until(setting, lines, len(names), delay=5, last=True)


# What the outputs have


def check_journal(folder: Path, names: Sequence[str]) -> Iterator[Row]:
    """Check the journal, and the files of labels."""
    found = journal(folder)
    yield Row('journal: pictures, in order', list(names), [line['name'] for line in found])
    predicted = {line['name'] for line in found if line.get('cloud') is not None}
    yield Row('journal: pictures with an error', 0, sum('error' in line for line in found))
    yield Row('unfinished files', 0, len([*folder.rglob('.*.part')]))
    yield Row('labels: files', len(predicted), len([*(folder / 'labels').iterdir()]))


def check_series(folder: Path, names: Sequence[str]) -> Iterator[Row]:
    """Check the files of the day."""
    day, found = folder / 'series' / f'{START:%Y-%m-%d}', journal(folder)
    times = [datetime.strptime(Path(name).stem, FORMAT) for name in names]
    with Path(f'{day}.csv').open(encoding='utf-8', newline='') as file:
        rows = [*csv.DictReader(file)]
    yield Row('table: pictures, in order', list(names), [Path(row['image']).name for row in rows])
    yield Row('table: qualities', [line.get('quality') for line in found], [row['quality'] for row in rows])
    with xarray.open_dataset(f'{day}.nc') as dataset:
        said, missing = dataset.time.values.astype('datetime64[us]').tolist(), int(dataset.cloud.isnull().sum())
    yield Row('NetCDF: times, in order', times, said)
    yield Row('NetCDF: refused pictures, without cover', sum(line.get('cloud') is None for line in found), missing)
    columns = [json.loads(line)['name'] for line in Path(f'{day}-meridian.jsonl').read_text().splitlines()]
    drawn = [line['name'] for line in found if line.get('cloud') is not None]
    yield Row('keogram: columns, each once', drawn, sorted(columns))
    for name in ('keogram', 'strip chart'):
        image = cv2.imread(f'{day}{"-keogram" if name == "keogram" else ""}.png')
        yield Row(f'{name}: a picture', True, image is not None and min(image.shape[:2]) > 200)


def check_webhook(posts: Sequence[tuple[str, bytes]], folder: Path) -> Iterator[Row]:
    """Check what the server of the webhook got."""
    lines = (folder / 'journal.jsonl').read_bytes().splitlines()
    keys = dict.fromkeys(key for key, _ in posts)
    bodies = list(dict.fromkeys(body for _, body in posts))
    again = sum(one == other for one, other in pairwise(posts))
    yield Row('webhook: lines, in order, repeats left out', lines, bodies)
    yield Row('webhook: keys', len(lines), len(keys))
    yield Row('webhook: repeats right after their first', len(posts) - len(lines), again)


def check_mqtt(subscriber: Subscriber, retained: Sequence[bytes], folder: Path) -> Iterator[Row]:
    """Check what the subscriber got over the day, and what the broker has retained."""
    lines = journal(folder)
    number = {line['name']: place for place, line in enumerate(lines)}
    states = [number[json.loads(payload)['name']] for payload in subscriber.of('sky/day/state')]
    yield Row('MQTT: retained state', [lines[-1]], [json.loads(payload) for payload in retained])
    yield Row('MQTT: a state after a newer one', 0, sum(one > other for one, other in pairwise(states)))
    said = subscriber.of('sky/day/availability')
    yield Row('MQTT: online and offline in turn', [b'online', b'offline'] * ((len(said) + 1) // 2), said)


def journal(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal."""
    return [json.loads(line) for line in (folder / 'journal.jsonl').read_bytes().splitlines()]


# A kill while it is safe


def photograph(folder: Path, size: int, stop: threading.Event) -> None:
    """Write a picture of the present into a folder every other second, until an event is set."""
    number = 0
    while not stop.wait(2):
        name, number = f'{datetime.now(timezone.utc):{FORMAT}}.jpg', number + 1
        image = render_station(STATION, START + timedelta(hours=11), size, clouds=number).image[:, :, ::-1]
        cv2.imwrite(str(folder / f'.{name}'), image)
        (folder / f'.{name}').replace(folder / name)


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


# Tables


def print_runs(runs: Sequence[Run], count: int) -> None:
    """Print a row for each start, and the memory over the day."""
    print('| start | pictures | end | first picture, s | Alpaca answers | MiB after 50 | MiB at the end | growth |')
    print('|---' * 8 + '|')
    for number, run in enumerate(runs):
        first, warm = '-' if run.first is None else f'{run.first:.0f}', run.warm
        memory = ['-'] * 3
        if warm is not None:
            latest = [*run.memory.values()][-1]
            memory = [f'{warm:.0f}', f'{latest:.0f}', f'{latest - warm:+.0f}']
        print(
            '|',
            ' | '.join([f'{number}', f'{run.after - run.before}', run.ending, first, f'{len(run.answers)}', *memory]),
            '|',
        )
    memory_of_day = {done: found for run in runs for done, found in run.memory.items()}
    shares = [
        next((v for done, v in memory_of_day.items() if done >= share * count), np.nan) for share in (0.1, 0.5, 1)
    ]
    print('MiB at 10, 50 and 100 % of the day:', ', '.join(f'{found:.0f}' for found in shares))


def print_check(row: Row) -> bool:
    """Print a row of what was to be found; return whether it was."""
    right = bool(row.expected == row.found)
    sizes = [str(len(each)) if isinstance(each, list) else str(each) for each in (row.expected, row.found)]
    print('|', ' | '.join([row.what, *sizes, 'yes' if right else 'NO']), '|', flush=True)
    return right


def messages_of(log: Path, names: Sequence[str]) -> dict[str, int]:
    """Return what the command has said beside its lines about pictures, and how often."""
    found: dict[str, int] = {}
    for line in log.read_text(encoding='utf-8').splitlines():
        if line.split(': ')[0] not in names or 'will be tried again' in line:
            found[line] = found.get(line, 0) + 1
    return found


def main() -> None:
    """Run a day and print what was found."""
    args = parse_args()
    args.work_dir.mkdir(parents=True)
    write_camera(args.work_dir, args.size)
    names = render_day(args.work_dir / 'pictures', args.pictures, args.size)
    watched, out = args.work_dir / 'watched', args.work_dir / 'day'
    watched.mkdir()
    with broker(args.work_dir) as port, Receiver() as receiver, closing(Subscriber(port)) as subscriber:
        setting = Setting(args.work_dir, port, receiver.server_port, free_port())
        threading.Thread(target=feed, args=(args.work_dir / 'pictures', watched, names, args.rate), daemon=True).start()
        begin = time.monotonic()
        runs = [*run_day(setting, names, args.kills, args.seed)]
        print(f'{args.pictures} pictures in {time.monotonic() - begin:.0f} s')
        print_runs(runs, args.pictures)
        with xarray.open_dataset(out / 'series' / f'{START:%Y-%m-%d}.nc') as dataset:
            print(f'pictures in the NetCDF file when the command was stopped: {dataset.sizes["time"]}', flush=True)
        with closing(Subscriber(port)) as later:
            time.sleep(2)
            retained = later.of('sky/day/state')
        before = (out / 'journal.jsonl').read_bytes()
        subprocess.run(setting.command('watched', 'day', '--once'), stderr=subprocess.DEVNULL, check=True)
        print('\n| output | expected | found | right |\n|---|---|---|---|')
        checks = [
            [Row('journal: bytes that another start adds', 0, len((out / 'journal.jsonl').read_bytes()) - len(before))],
            [
                Row(
                    'Alpaca: unsafe, as the pictures are old',
                    {False},
                    {answer for run in runs for answer in run.answers},
                )
            ],
            check_journal(out, names),
            check_series(out, names),
            check_webhook(receiver.of('/day'), out),
            check_mqtt(subscriber, retained, out),
            check_safety(setting, args.size),
        ]
        right = [print_check(row) for rows in checks for row in rows]
    print('\nmessages of the command, and how often:')
    for message, count in messages_of(args.work_dir / 'watch.log', names).items():
        print(f'{count} x {message}')
    raise SystemExit(0 if all(right) else 1)


if __name__ == '__main__':
    main()
