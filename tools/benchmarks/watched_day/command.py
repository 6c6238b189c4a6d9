"""The command ``watch``, started, killed and started again."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from watched_day.ends import is_safe

WARM_UP = 50
"""Pictures of a start after which its memory is taken."""
PATIENCE = 600.0
"""Seconds without a new picture after which something is wrong."""


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
