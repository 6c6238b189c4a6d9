"""Write images of the procedural sky to a folder.

python tools/make_sky.py data/sky --num-images 200 --size 256
"""

import argparse
import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from hyperbolic_seg.files import write_whole
from hyperbolic_seg.sky.renderer import (
    CLOUDS,
    GENUS_NAMES,
    SKYLINES,
    SkyLabel,
    SkyScene,
    render_sky,
    sample_scene,
)
from hyperbolic_seg.version import __version__

_FOLDERS = ('images', 'masks', 'attributes')
SHEET_COLUMNS = 8
SHEET_IMAGES = 40


class ParameterClash(Exception):
    """The folder holds images made with other parameters."""


@dataclass(frozen=True)
class Recipe:
    """Parameters that determine an image together with its number."""

    seed: int
    size: tuple[int, int]
    camera: str | None
    time: str | None
    genera: tuple[str, ...] | None
    skyline: str | None
    version: str = __version__

    def scene(self, number: int) -> SkyScene:
        """Sample the scene of an image."""
        wanted = dict(camera=self.camera, time=self.time, genera=self.genera, skyline=self.skyline)
        return sample_scene(self.seed + number, **wanted)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description='Write images of the procedural sky, with the genus of every pixel',
        epilog='The same command resumes an interrupted run.',
    )
    parser.add_argument('out', type=Path, help='folder for images/, masks/, attributes/, splits/, scenes.csv')
    parser.add_argument('--num-images', type=int, default=200, help='number of images (default 200)')
    parser.add_argument('--size', type=int, nargs='+', default=[256], help='side, or height and width, in pixels')
    parser.add_argument('--seed', type=int, default=0, help='seed of the first image')
    parser.add_argument('--val-fraction', type=float, default=0.2, help='fraction in val.txt (default 0.2)')
    parser.add_argument('--camera', choices=['planar', 'fisheye'], help='default: both')
    parser.add_argument('--time', choices=['day', 'dusk', 'night'], help='default: all')
    parser.add_argument(
        '--genera',
        nargs='*',
        metavar='GENUS',
        help=f'show exactly these, none for clear skies: {", ".join(GENUS_NAMES)}',
    )
    parser.add_argument('--skyline', choices=SKYLINES, help='what stands around the camera; default: all')
    parser.add_argument('--workers', type=int, default=1, help='processes (default 1)')
    parser.add_argument('--contact-sheet', type=Path, metavar='FILE', help='overview image to write')
    parser.add_argument('--overwrite', action='store_true', help='replace images made with other parameters')
    args = parser.parse_args(argv)
    if args.num_images < 1 or args.workers < 1:
        parser.error('--num-images and --workers must be at least 1')
    if not 0 <= args.val_fraction < 1:
        parser.error(f'--val-fraction must be in [0, 1), got {args.val_fraction}')
    if len(args.size) > 2:
        parser.error(f'--size takes one or two numbers, got {args.size}')
    return args


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an image so that it is complete or absent."""
    done, encoded = cv2.imencode('.png', image)
    if not done:
        raise OSError(f'OpenCV could not encode {path}')
    write_whole(path, encoded.tobytes())


def read_png(path: Path) -> np.ndarray:
    """Read an image as it was written."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise OSError(f'{path} is missing or damaged: delete it and run the command again')
    return np.asarray(image)


def prepare(out: Path, recipe: Recipe, overwrite: bool) -> None:
    """Create the folders and check that their images were made by the same recipe."""
    wanted = json.loads(json.dumps(asdict(recipe)))
    record = out / 'parameters.json'
    if record.exists():
        found = json.loads(record.read_text(encoding='utf-8'))
        if found != wanted and not overwrite:
            changed = ', '.join(
                f'{key}: {found.get(key)} there, {value} now'
                for key, value in wanted.items()
                if found.get(key) != value
            )
            raise ParameterClash(
                f'{out} holds images made with other parameters ({changed}): '
                'use another folder, or --overwrite to replace them'
            )
        if found != wanted:
            for file in (file for folder in _FOLDERS for file in out.glob(f'{folder}/*.png')):
                file.unlink()
    for folder in (*_FOLDERS, 'splits'):
        (out / folder).mkdir(parents=True, exist_ok=True)
    write_whole(record, (json.dumps(wanted, indent=2) + '\n').encode())


def make_image(job: tuple[Path, Recipe, int]) -> dict[str, Any]:
    """Render and write one image unless it exists; return its row of the table."""
    out, recipe, number = job
    stem = f'{number:06d}'
    files = [out / folder / f'{stem}.png' for folder in _FOLDERS]
    scene = recipe.scene(number)
    if all(file.exists() for file in files):
        labels = read_png(files[_FOLDERS.index('masks')])
    else:
        rendered = render_sky(recipe.seed + number, recipe.size, scene=scene)
        labels = rendered.labels
        for file, content in zip(files, (rendered.image, labels, rendered.attributes), strict=True):
            write_png(file, content)
    return {
        'stem': stem,
        'seed': recipe.seed + number,
        'camera': scene.camera.kind,
        'time': scene.time,
        'genera': '+'.join(layer.genus.name.lower() for layer in scene.layers),
        'cloud_fraction': f'{cloud_fraction(labels):.4f}',
    }


def cloud_fraction(labels: np.ndarray) -> float:
    """Return the fraction of the visible sky that is cloud; 0 if no sky is visible."""
    cloud = int(np.isin(labels, CLOUDS).sum())
    sky = cloud + int((labels == SkyLabel.CLEAR_SKY).sum())
    return cloud / sky if sky else 0.0


def make_all(out: Path, recipe: Recipe, num_images: int, workers: int) -> list[dict[str, Any]]:
    """Make the missing images; return the rows of all."""
    jobs = ((out, recipe, number) for number in range(num_images))
    if workers == 1:
        return list(_progress(map(make_image, jobs), num_images))
    with worker_context().Pool(workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        rows = list(_progress(pool.imap_unordered(make_image, jobs, chunksize=4), num_images))
    return sorted(rows, key=lambda row: row['stem'])


def worker_context() -> BaseContext:
    """Return the start method of workers: if possible a fork server with the library, whose import takes seconds."""
    if 'forkserver' not in get_all_start_methods():
        return get_context('spawn')
    context = get_context('forkserver')
    context.set_forkserver_preload(['hyperbolic_seg.sky.renderer'])
    return context


def _progress(rows: Iterator[dict[str, Any]], total: int) -> Iterator[dict[str, Any]]:
    return iter(tqdm(rows, total=total, unit='image', disable=None))


def write_tables(out: Path, rows: list[dict[str, Any]], val_fraction: float) -> None:
    """Write the splits, with the validation images spread evenly, and the table of scenes."""
    splits: dict[str, list[str]] = {'train': [], 'val': []}
    for i, row in enumerate(rows):
        chosen = int((i + 1) * val_fraction + 1e-9) > int(i * val_fraction + 1e-9)
        splits['val' if chosen else 'train'].append(row['stem'])
    for name, stems in splits.items():
        write_whole(out / 'splits' / f'{name}.txt', ''.join(f'{s}\n' for s in stems).encode())
    table = io.StringIO(newline='')
    writer = csv.DictWriter(table, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_whole(out / 'scenes.csv', table.getvalue().encode())


def contact_sheet(out: Path, rows: list[dict[str, Any]]) -> np.ndarray:
    """Draw the first images above their labels, (H, W, 3)."""
    palette = np.zeros((256, 3), np.uint8)
    for i, label in enumerate(SkyLabel):
        hue = np.array([[[i * 180 // len(SkyLabel), 200, 230]]], np.uint8)
        palette[label] = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0]
    palette[SkyLabel.OUTSIDE_THE_LENS] = 0
    tiles = []
    for row in rows[:SHEET_IMAGES]:
        image = read_png(out / 'images' / f'{row["stem"]}.png')
        labels = read_png(out / 'masks' / f'{row["stem"]}.png')
        tiles.append(np.vstack((image, palette[labels])))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % SHEET_COLUMNS)
    lines = [np.hstack(tiles[i : i + SHEET_COLUMNS]) for i in range(0, len(tiles), SHEET_COLUMNS)]
    return np.vstack(lines)


def summary(rows: list[dict[str, Any]]) -> str:
    """Count images by camera, time and genus."""
    lines = [f'{len(rows)} images']
    for column in ('camera', 'time'):
        counts = Counter(row[column] for row in rows)
        lines.append(f'{column}: ' + ', '.join(f'{k} {v}' for k, v in sorted(counts.items())))
    genera = Counter(name for row in rows for name in (row['genera'] or 'clear').split('+'))
    lines += [f'{name:15s} {genera[name]}' for name in ('clear', *GENUS_NAMES)]
    return '\n'.join(lines)


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    recipe = Recipe(
        seed=args.seed,
        size=(args.size[0], args.size[-1]),
        camera=args.camera,
        time=args.time,
        genera=None if args.genera is None else tuple(args.genera),
        skyline=args.skyline,
    )
    try:
        recipe.scene(0)
        prepare(args.out, recipe, args.overwrite)
        rows = make_all(args.out, recipe, args.num_images, args.workers)
    except (ParameterClash, ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    write_tables(args.out, rows, args.val_fraction)
    if args.contact_sheet:
        args.contact_sheet.parent.mkdir(parents=True, exist_ok=True)
        write_png(args.contact_sheet, contact_sheet(args.out, rows))
    print(summary(rows))
    return 0


if __name__ == '__main__':
    sys.exit(main())
