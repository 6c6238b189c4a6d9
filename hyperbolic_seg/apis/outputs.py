"""What predictions leave on disk: label maps, overlays with a legend and a table of cloud fractions."""

import csv
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.visualization import blend, legend, legend_width

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def images_in(folder: str | Path) -> list[str]:
    """List the image files of a folder and its subfolders, sorted.

    Raises:
        FileNotFoundError: There is none.
    """
    found = sorted(str(p) for p in Path(folder).rglob('*') if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise FileNotFoundError(f'no image in {folder}; looked for {", ".join(IMAGE_SUFFIXES)}')
    return found


def output_names(paths: Sequence[str]) -> list[str]:
    """Return a distinct name for the outputs of every image: its stem, or its path where stems collide."""
    stems = [Path(path).stem for path in paths]
    taken = Counter(stems)
    if all(count == 1 for count in taken.values()):
        return stems
    absolute = [os.path.abspath(path) for path in paths]
    common = os.path.commonpath([os.path.dirname(path) for path in absolute])
    names = [os.path.relpath(path, common).replace(os.sep, '__') for path in absolute]
    return [stem if taken[stem] == 1 else name for stem, name in zip(stems, names, strict=True)]


class PredictionWriter:
    """Writes ``labels/NAME.png``, ``overlays/NAME.png`` and a row of ``summary.csv`` per image.

    Of predictions with nodes also ``nodes/NAME.png``, ids of the deepest sure nodes, with their shares in the table.

    Args:
        out_dir: The folder; made if need be. An older ``summary.csv`` in it is replaced.
        classes: The prompts, in the order of the labels.
        node_names: Names of the nodes, in the order of their ids.
    """

    def __init__(self, out_dir: str | Path, classes: Sequence[str], *, node_names: Sequence[str] = ()) -> None:
        self.out_dir = Path(out_dir)
        self.classes, self.node_names = list(classes), list(node_names)
        for folder in ('labels', 'overlays', *(['nodes'] if self.node_names else [])):
            (self.out_dir / folder).mkdir(parents=True, exist_ok=True)
        self._file = (self.out_dir / 'summary.csv').open('w', newline='', encoding='utf-8')
        fractions = [f'fraction {name}' for name in self.classes]
        sure = [f'sure of {name}' for name in self.node_names]
        columns = ['image', 'width', 'height', *fractions, *sure, 'mean confidence', 'mean radius', 'error']
        self._table = csv.DictWriter(self._file, columns, restval='')
        self._table.writeheader()

    def write(self, name: str, image: NDArray[np.uint8], prediction: dict[str, Any], *, source: str) -> None:
        """Write the outputs of one image.

        Args:
            name: The stem of the files.
            image: The image, (H, W, 3), BGR.
            prediction: What :class:`HyperSegInferencer` returns for it.
            source: What stands in the table as the image.
        """
        labels, radius = prediction['labels'], prediction['radius']
        fractions = np.bincount(labels.ravel(), minlength=len(self.classes)) / labels.size
        _imwrite(self.out_dir / 'labels' / f'{name}.png', labels)
        _imwrite(self.out_dir / 'overlays' / f'{name}.png', self._overlay(image, prediction, fractions)[..., ::-1])
        row: dict[str, Any] = dict(image=source, width=labels.shape[1], height=labels.shape[0])
        row |= {f'fraction {n}': f'{f:.4f}' for n, f in zip(self.classes, fractions, strict=True)}
        if self.node_names:
            nodes = prediction['nodes']
            _imwrite(self.out_dir / 'nodes' / f'{name}.png', nodes)
            shares = np.bincount(nodes.ravel(), minlength=len(self.node_names)) / nodes.size
            row |= {f'sure of {n}': f'{share:.4f}' for n, share in zip(self.node_names, shares, strict=True)}
        row['mean confidence'] = f'{prediction["confidence"].mean():.4f}'
        row['mean radius'] = '' if radius is None else f'{radius.mean():.4f}'
        self._add(row)

    def refuse(self, source: str, error: str) -> None:
        """Leave a row for an image that could not be predicted."""
        self._add(dict(image=source, error=' '.join(error.split())))

    def _add(self, row: dict[str, Any]) -> None:
        self._table.writerow(row)
        self._file.flush()

    @staticmethod
    def _overlay(image: NDArray[np.uint8], prediction: dict[str, Any], fractions: NDArray) -> NDArray[np.uint8]:
        picture = blend(image[..., ::-1], prediction['labels'], prediction['palette'])
        names = [f'{n} {100 * f:.1f} %' for n, f in zip(prediction['classes'], fractions, strict=True)]
        width = max(picture.shape[1], legend_width(names))
        below = legend(names, prediction['palette'], width)
        room = ((0, 0), (0, width - picture.shape[1]), (0, 0))
        return np.concatenate([np.pad(picture, room, constant_values=255), below])

    def close(self) -> None:
        """Close the table."""
        self._file.close()

    def __enter__(self) -> 'PredictionWriter':
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _imwrite(path: Path, image: NDArray) -> None:
    """Write a PNG; readers see the whole file or none."""
    done, content = cv2.imencode('.png', image)
    if not done:
        raise OSError(f'{path} could not be encoded as PNG')
    part = path.with_name(path.name + '.part')
    part.write_bytes(content.tobytes())
    os.replace(part, path)
