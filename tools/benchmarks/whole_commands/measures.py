"""What is measured in a process of its own: a command, a command and its model in turn, and the stages of a command."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from large_images import peak_memory

from whole_commands import STAGES
from whole_commands.runners import RUNNERS, Predict, Runner
from whole_commands.stages import stages_of


def loaded(name: str, model: str, warm: Path) -> Runner:
    """Return a runner that has run once, on a picture to warm up, in this process with one thread."""
    torch.set_num_threads(1)
    runner = RUNNERS[name](model)
    with TemporaryDirectory() as out:
        runner.run_whole([str(warm)], Path(out))
    return runner


def run(name: str, model: str, files: Sequence[str], warm: Path) -> dict[str, float]:
    """Load a runner, wait for a line on standard input, and run its command.

    Returns:
        Seconds of the clock and of the processor, and the peak of the memory in MiB.
    """
    runner = loaded(name, model, warm)
    print('loaded', flush=True)
    sys.stdin.readline()
    with TemporaryDirectory() as out:
        return dict(measured(lambda: runner.run_whole(files, Path(out))), peak=peak_memory())


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Return seconds of the clock and of the processor that something takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return dict(cpu=time.process_time() - cpu, wall=time.perf_counter() - wall)


def take_turns(name: str, model: str, files: Sequence[str], warm: Path, *, rounds: int) -> dict[str, list[float]]:
    """Return processor seconds of a picture by the whole command and by the model alone, of every round."""
    runner = loaded(name, model, warm)
    found: dict[str, list[float]] = dict(whole=[], model=[])
    for _ in range(rounds):
        batches = runner.prepare(files)
        found['model'].append(measured(lambda ready=batches: runner.run_model(ready))['cpu'] / len(files))
        with TemporaryDirectory() as out:
            found['whole'].append(measured(lambda to=out: runner.run_whole(files, Path(to)))['cpu'] / len(files))
    return found


def time_stages(model: str, files: Sequence[str], warm: Path, *, rounds: int) -> dict[str, float]:
    """Return the median of the processor seconds of every stage of the command."""
    runner = loaded('predict', model, warm)
    if not isinstance(runner, Predict):
        raise TypeError(f'the stages are those of Predict, got {type(runner).__name__}')
    with TemporaryDirectory() as out:
        found = [stages_of(runner.inferencer, file, Path(out)) for _ in range(rounds) for file in files]
    return {name: statistics.median(each[name] for each in found) for name in STAGES}
