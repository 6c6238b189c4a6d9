"""A predictor that needs no model, for tests of thousands of pictures and of many processes."""

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from hyperbolic_seg.app.archive.recipe import Predicted


@dataclass(frozen=True)
class CheapRecipe:
    """Shares of bright and dark pixels; a picture named ``poison`` ends the process that reads it."""

    seconds: float = 0.0
    level: int = 128
    log: str | None = None
    """Folder where each process notes each picture that it predicts."""

    def build(self):
        return CheapPredictor(self)


class CheapPredictor:
    classes = ['dark', 'bright']
    ordered = False

    def __init__(self, recipe):
        self.recipe = recipe
        self.fingerprint = hashlib.sha256(f'cheap {recipe.level}'.encode()).hexdigest()

    def examine(self, path, repeats):
        return True

    def predict(self, path, repeats, *, with_labels):
        time.sleep(self.recipe.seconds)
        if Path(path).stem == 'poison':
            os._exit(9)
        if self.recipe.log is not None:
            with Path(self.recipe.log, str(os.getpid())).open('a') as file:
                file.write(f'{Path(path).name}\n')
        image = cv2.imread(path)
        if image is None:
            error = f'{path} is no readable image'
            return Predicted(dict(image=path, error=error), None, error)
        bright = image.mean(axis=2) >= self.recipe.level
        share = float(bright.mean())
        height, width = bright.shape
        record = dict(
            image=path,
            width=width,
            height=height,
            fractions={'dark': 1 - share, 'bright': share},
            mean_confidence=1.0,
            mean_radius=None,
            time=time_of(path),
        )
        return Predicted(record, bright.astype(np.uint8) if with_labels else None, None)


def time_of(path):
    """The time in a name such as ``20240621T120000.png``."""
    name = Path(path).stem
    try:
        return time.strftime('%Y-%m-%dT%H:%M:%S+00:00', time.strptime(name, '%Y%m%dT%H%M%S'))
    except ValueError:
        return None
