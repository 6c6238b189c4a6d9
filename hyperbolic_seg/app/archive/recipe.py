"""Model, prompts and options of an archive run, from which each worker process builds its own predictor."""

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.version import __version__

if TYPE_CHECKING:  # these import torch, which the process that lists and plans may do without
    from hyperbolic_seg.apis import HyperSegInferencer
    from hyperbolic_seg.sky.camera import Repeats, SkyCamera


class Predicted(NamedTuple):
    """A record, and labels if it has any."""

    record: dict[str, Any]
    """See :func:`~hyperbolic_seg.app.batch.predict_files`."""
    labels: NDArray[np.integer] | None
    """Indices of the classes, (H, W); ``None`` if the picture was refused or no labels are wanted."""
    refusal: str | None
    """Why it was refused; ``None`` if it was predicted."""


class Predictor(Protocol):
    """A model with all that a record depends on."""

    fingerprint: str
    """Names the model, its prompts and options, and the version of the code."""
    classes: list[str]
    """Names of the classes, in the order of the labels."""
    ordered: bool
    """A record depends on the pictures before."""

    def examine(self, path: str, repeats: 'Repeats | None') -> bool:
        """Add a picture to those before; return whether no earlier one is needed."""

    def predict(self, path: str, repeats: 'Repeats | None', *, with_labels: bool) -> Predicted:
        """Predict a file."""


class Recipe(Protocol):
    """Settings from which a worker process builds its predictor; small enough to be sent with each task."""

    def build(self) -> Predictor:
        """Build it."""


@dataclass(frozen=True)
class SkyRecipe:
    """Recipe of :class:`SkyPredictor`.

    Args:
        load: Loads the model and sets its prompts, such as ``functools.partial(load_model, 'hyperclip-unet-cloud')``.
        threshold: See :func:`~hyperbolic_seg.app.batch.predict_files`.
        camera: The camera that took all pictures. Its mask and calibration are read by every worker.
    """

    load: 'Callable[[], HyperSegInferencer]'
    threshold: float | None = None
    camera: 'SkyCamera | None' = None

    def build(self) -> 'SkyPredictor':
        """Load the model."""
        return SkyPredictor(self.load(), threshold=self.threshold, camera=self.camera)


class SkyPredictor:
    """Predicts files one at a time, as ``hyperbolic-seg predict`` does.

    Args:
        inferencer: The model.
        threshold: See :class:`SkyRecipe`.
        camera: See :class:`SkyRecipe`.

    Raises:
        OSError: A file of the camera cannot be read.
    """

    def __init__(
        self, inferencer: 'HyperSegInferencer', *, threshold: float | None = None, camera: 'SkyCamera | None' = None
    ) -> None:
        self._inferencer, self._threshold, self._camera = inferencer, threshold, camera
        # Threads of a worker share the model, which uses all cores by itself; reading goes on beside it.
        self._lock = threading.Lock()
        self.ordered = camera is not None
        self.classes = list(inferencer.classes)
        settings = dict(
            version=__version__,
            model=inferencer.identity,
            config=inferencer.cfg.model,
            prompts=[list(concept.phrases) for concept in inferencer.vocabulary],
            classes=self.classes,
            threshold=threshold,
            camera=None if camera is None else _camera_settings(camera),
        )
        self.fingerprint = hashlib.sha256(json.dumps(settings, sort_keys=True, default=repr).encode()).hexdigest()

    def examine(self, path: str, repeats: 'Repeats | None') -> bool:
        """Add a picture to those before, without a prediction.

        Returns:
            Whether the state is known now: the picture was read, and its time is not one of an hour that comes twice.
        """
        from hyperbolic_seg.app.batch import examine_file

        if self._camera is None or repeats is None:
            return True
        with self._lock:
            view = examine_file(path, self._camera, repeats)
        if view is None or not view.weights.size:  # a black one has no dome, and is not among those before
            return False
        first, second = (None if view.time is None else view.time.replace(fold=fold).utcoffset() for fold in (0, 1))
        return first == second

    def predict(self, path: str, repeats: 'Repeats | None', *, with_labels: bool) -> Predicted:
        """Predict a file.

        Raises:
            OSError: It cannot be read.
            MemoryError: There is not enough memory.
            RuntimeError: The model fails.
        """
        from hyperbolic_seg.app.batch import predict_file
        from hyperbolic_seg.app.failures import refusal

        labels: list[NDArray[np.integer]] = []

        def keep(image: NDArray[np.uint8], prediction: dict[str, Any], record: dict[str, Any]) -> None:
            labels.append(prediction['labels'])

        options: dict[str, Any] = dict(threshold=self._threshold, camera=self._camera, repeats=repeats, maps=False)
        with self._lock:
            record = predict_file(
                self._inferencer, path, '', Path(path).stem, on_prediction=keep if with_labels else None, **options
            )
        return Predicted(record, labels[0] if labels else None, refusal(record))


_BUILT: dict[str, Predictor] = {}
_BUILDING = threading.Lock()


def keep(predictor: Predictor) -> None:
    """Keep a predictor for the tasks of this process, in place of the one before."""
    with _BUILDING:
        _BUILT.clear()
        _BUILT[predictor.fingerprint] = predictor


def predictor_of(recipe: Recipe, fingerprint: str) -> Predictor:
    """Return the predictor of a recipe, which is built once in a process, however many of its threads ask.

    Args:
        recipe: The recipe.
        fingerprint: That of the predictor which the recipe has built elsewhere.

    Raises:
        RuntimeError: Here it builds another one.
    """
    with _BUILDING:
        if fingerprint not in _BUILT:
            found = recipe.build()
            if found.fingerprint != fingerprint:
                raise RuntimeError(
                    f'the model, its options or the version of hyperbolic_seg on this worker ({found.fingerprint[:12]})'
                    f' differ from those of the client ({fingerprint[:12]}): install the same on all machines'
                )
            _BUILT.clear()
            _BUILT[fingerprint] = found
        return _BUILT[fingerprint]


def _camera_settings(camera: 'SkyCamera') -> dict[str, Any]:
    """Return the settings of a camera, with the content of its files in place of their names."""
    settings = asdict(camera)
    del settings['adaptation']  # the identity of the model has its digest
    for name in ('calibration', 'mask', 'cover_calibration'):
        if settings[name] is not None:
            settings[name] = hashlib.sha256(Path(settings[name]).read_bytes()).hexdigest()
    return settings
