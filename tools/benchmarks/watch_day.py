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
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import xarray
from watched_day.camera import START, feed, render_day, write_camera
from watched_day.checks import Row, check_journal, check_mqtt, check_series, check_webhook, messages_of
from watched_day.command import Run, Setting, run_day
from watched_day.ends import Receiver, Subscriber, broker, free_port
from watched_day.safety import check_safety


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
