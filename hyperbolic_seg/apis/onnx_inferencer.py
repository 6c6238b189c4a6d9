"""OnnxInferencer: segmentation of images by prompts with ONNX Runtime, without PyTorch and MMSegmentation."""

import json
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from hyperbolic_seg.apis.array_maps import class_shares, decide, deepest_nodes, enlarged_bands
from hyperbolic_seg.apis.known_words import Choice, KnownWords
from hyperbolic_seg.files import sha256_of
from hyperbolic_seg.images import read_file, reduced_size, resized
from hyperbolic_seg.text import Taxonomy, Vocabulary, kinds_below

__all__ = ['FILE_FORMAT', 'OnnxInferencer', 'Prepared']

FILE_FORMAT = '2'
"""Version of the inputs, outputs and metadata of a promptable file that is written; '1' had no ``varied``."""
_READABLE = ('1', FILE_FORMAT)
INPUTS = ('images', 'words', 'concepts', 'kinds', 'asked', 'inside', 'varied')
"""Inputs of a promptable file; without ``varied`` if the model has no kinds of many colors."""
RESIZING: dict[str, Callable[[NDArray[np.uint8], tuple[int, int]], NDArray[Any]]] = {
    'cv2': partial(cv2.resize, interpolation=cv2.INTER_LINEAR),
    'pillow': resized,
}
"""Functions that resize an image (H, W, 3) to (width, height), by the backend of MMCV that does the same."""


class Prepared(NamedTuple):
    """An image as the model sees it."""

    image: NDArray[np.uint8]
    """BGR, (h, w, 3)."""
    size: tuple[int, int]
    """Height and width of the image in its file."""


class OnnxInferencer:
    """Segments images by prompts that the taxonomy of a model knows, with ONNX Runtime.

    The predictions are those of :class:`~hyperbolic_seg.apis.HyperSegInferencer`, of which it has the part that the
    command needs. It starts in a fraction of the time, and needs ``pip install 'hyperbolic-seg[onnx]'`` alone.

    .. code-block:: python

        inferencer = OnnxInferencer('hyperclip-unet-cloud.onnx')  # written by hyperbolic-seg export
        inferencer.set_prompts(['clear sky', 'cumulus', 'cirrus'])
        inferencer.predict_one('sky.jpg')['labels']  # (H, W): indices of the prompts

    Args:
        file: File that ``hyperbolic-seg export`` has written.
        threads: Threads of ONNX Runtime; by default one for each core.

    Raises:
        ImportError: ``onnxruntime`` is not installed.
        FileNotFoundError: There is no such file.
        ValueError: It is no promptable file, damaged, or of a later version.
    """

    @property
    def takes_arrays(self) -> bool:
        """True: an image in memory can be given."""
        return True

    def __init__(self, file: str | Path, *, threads: int | None = None) -> None:
        self.file = Path(file)
        self._session = _session(self.file, threads)
        about = self._session.get_modelmeta().custom_metadata_map
        if (version := about.get('promptable')) not in _READABLE:
            given = 'no promptable file' if version is None else f'one of version {version[:20]!r}'
            raise ValueError(
                f'{file} is {given}: expected one that hyperbolic-seg export has written, version '
                f'{" or ".join(_READABLE)}'
            )
        try:
            one, other = json.loads(about['size'])
            self._scale, self._divisor = (int(one), int(other)), int(about['divisor'])
            self._resize = RESIZING[about.get('resizing', 'cv2')]  # the one of files that do not say it
            self._words = KnownWords.from_json(about['vocabulary'])
            self._varied = tuple(map(str, json.loads(about.get('varied', '[]'))))
            self._of: dict[str, str | None] = json.loads(about['identity'])
            self.license: str | None = about.get('license')
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{file} is damaged: {error}') from error
        self.set_prompts(None)

    def set_prompts(self, prompts: str | Sequence[str] | Vocabulary | None) -> None:
        """Segment by these prompts from now on; ``None`` goes back to the vocabulary of the training.

        Args:
            prompts: A list of prompts, a vocabulary, or the name or YAML file of one.

        Raises:
            ValueError: A prompt is no word of the taxonomy, two mean the same, or there are fewer than two.
        """
        self._choice: Choice = self._words.choose(prompts)
        self._inputs = _inputs_of(self._choice)
        if self._varied:
            self._inputs['varied'] = _varied(self._choice, self._varied)
        self.__dict__.pop('_grown', None)

    def predict_one(self, image: Any, **options: Any) -> dict[str, Any]:
        """Segment one image by the prompts of :meth:`set_prompts`.

        Args:
            image: A file, or an (H, W, 3) uint8 BGR array.
            **options: See :meth:`~hyperbolic_seg.apis.HyperSegInferencer.predict_one`.

        Returns:
            The prediction, as :class:`~hyperbolic_seg.apis.HyperSegInferencer` makes it.
        """
        return self.predict_prepared(self.prepare(image), **options)

    def prepare(self, image: Any) -> Prepared:
        """Return an image at the size at which the model sees it; the image itself may then leave the memory.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is not a readable image, or the array is none.
        """
        pixels = read_file(str(image)) if isinstance(image, (str, Path)) else _checked(image)
        height, width = pixels.shape[:2]
        factor = min(max(self._scale) / max(height, width), min(self._scale) / min(height, width))
        small = int(width * factor + 0.5), int(height * factor + 0.5)
        return Prepared(np.asarray(self._resize(pixels, small), np.uint8), (height, width))

    def predict_prepared(
        self,
        batch: Prepared,
        *,
        threshold: float | None = None,
        with_probabilities: bool = False,
        reduced: bool = False,
        reduced_labels: bool = False,
    ) -> dict[str, Any]:
        """Segment the image of :meth:`prepare`; see :meth:`predict_one`."""
        rgb = np.ascontiguousarray(batch.image[..., ::-1].transpose(2, 0, 1)[None], np.float32)
        height, width = batch.image.shape[:2]
        inside = np.zeros((1, 1, *(-(-side // self._divisor) * self._divisor for side in (height, width))), bool)
        inside[..., :height, :width] = True
        (whole,) = self._session.run(None, dict(images=rgb, inside=inside, **self._inputs))
        maps: NDArray[np.float32] = whole[0, :, :height, :width]
        size = batch.size
        small = reduced_size(*size) if reduced else size
        found = self._maps(maps, small, threshold, with_probabilities=with_probabilities)
        if small != size and not reduced_labels:
            at_size = self._maps(maps, size, threshold, with_probabilities=False)
            found |= {name: at_size[name] for name in ('labels', 'nodes') if name in at_size}
        found |= dict(classes=self.classes, palette=self.palette)
        return found if threshold is None else found | dict(node_names=list(self.taxonomy.nodes.names))

    def _maps(
        self, maps: NDArray[np.float32], size: tuple[int, int], threshold: float | None, *, with_probabilities: bool
    ) -> dict[str, Any]:
        """Return the maps of a prediction at a size, (H, W), or (K, H, W)."""
        count = len(self.classes)
        found: dict[str, Any] = dict(
            labels=np.empty(size, np.uint8 if count <= 256 else np.uint16),
            confidence=np.empty(size, np.float32),
            radius=np.empty(size, np.float32),
        )
        if threshold is not None:
            found['nodes'] = np.empty(size, np.uint16)
        if with_probabilities:
            found['probabilities'] = np.empty((count, *size), np.float32)
        for rows, band in enlarged_bands(maps, size):
            found['labels'][rows], found['confidence'][rows] = decide(band[:-1])
            found['radius'][rows] = band[-1]
            if threshold is not None or with_probabilities:
                shares = class_shares(band[:-1])
                if with_probabilities:
                    found['probabilities'][:, rows] = shares
                if threshold is not None:
                    found['nodes'][rows] = deepest_nodes(shares, self.taxonomy, threshold, of=self._grown[1])
        return found

    @cached_property
    def _grown(self) -> tuple[Taxonomy, list[int]]:
        if self._words.taxonomy is None:
            raise ValueError(
                'a threshold is for models with a taxonomy, and the model of this file has none: leave the threshold '
                'out'
            )
        return self._words.taxonomy.grown(self._choice.meanings)

    @property
    def taxonomy(self) -> Taxonomy:
        """Taxonomy of predictions with a threshold.

        Raises:
            ValueError: The model has none.
        """
        return self._grown[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """No notes: a prompt that the model does not know is refused."""
        return ()

    @cached_property
    def identity(self) -> dict[str, str | None]:
        """The ``name`` of the model and the ``sha256`` of the file of the weights that were exported, if there is one.

        These are those of :attr:`~hyperbolic_seg.apis.HyperSegInferencer.identity`; ``file_sha256`` is of this file.
        """
        return dict(self._of, runtime='onnx', file_sha256=sha256_of(self.file))

    @property
    def vocabulary(self) -> Vocabulary:
        """The concepts that images are segmented by."""
        return self._choice.vocabulary

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the labels."""
        return list(self.vocabulary.names)

    @property
    def palette(self) -> list[list[int]]:
        """RGB colors of the classes."""
        return self.vocabulary.palette


def _session(file: Path, threads: int | None) -> Any:
    """Open a file with ONNX Runtime.

    Raises:
        ImportError: ONNX Runtime is not installed.
        FileNotFoundError: There is no such file.
        ValueError: The file is no ONNX file.
    """
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ImportError(f"{error}: the runtime 'onnx' needs pip install 'hyperbolic-seg[onnx]'") from error
    if not file.is_file():
        raise FileNotFoundError(
            f'{file} is no file: hyperbolic-seg export MODEL --out {file} writes it, on a machine with the whole '
            'installation'
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # its errors come as exceptions
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=['CPUExecutionProvider'])
    except Exception as error:  # ONNX Runtime's errors have no class in common
        raise ValueError(f'{file} cannot be read by ONNX Runtime: {error}') from error


def _inputs_of(choice: Choice) -> dict[str, NDArray[Any]]:
    """Return the inputs of a file that stand for prompts."""
    owners, of_kinds = np.array(choice.concept_of_word), np.array(choice.kinds)
    concepts = owners[None] == np.arange(len(choice.vocabulary))[:, None]
    kinds = of_kinds[None] == np.arange(_kind_count(choice))[:, None]
    asked = np.array(choice.asked, np.float32)
    return dict(words=np.array(choice.rows, np.int64), concepts=concepts, kinds=kinds, asked=asked)


def _varied(choice: Choice, names: Sequence[str]) -> NDArray[np.bool_]:
    """Return for every kind of the inputs whether it is one of some nodes, or lies below one."""
    found = kinds_below(names, choice.placed, choice.kinds)
    return np.array(found + [False] * (_kind_count(choice) - len(found)))


def _kind_count(choice: Choice) -> int:
    return max(*choice.kinds, 1) + 1  # two at least: a trace takes no single one


def _checked(image: Any) -> NDArray[np.uint8]:
    """Return an image in memory.

    Raises:
        ValueError: It is none.
    """
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8:
        return image
    shape = f'{image.dtype} {image.shape}' if isinstance(image, np.ndarray) else repr(image)
    raise ValueError(f'an image is a file name or an (H, W, 3) uint8 BGR array, got {shape}')
