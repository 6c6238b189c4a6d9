"""HyperSegInferencer: segmentation of images by prompts, for users."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.infer import BaseInferencer
from mmengine.registry import init_default_scope
from mmengine.runner import CheckpointLoader
from mmseg.structures import SegDataSample
from numpy.typing import NDArray
from torch import Tensor

from hyperbolic_seg.apis.adaptation import Adaptation
from hyperbolic_seg.apis.coarse import coarse_maps, is_local, labels_in_bands, samples_in_bands
from hyperbolic_seg.apis.inference_inputs import UnlessDecoded, as_sample, pixels_of
from hyperbolic_seg.apis.model_sources import checked_meta, config_and_weights, errors_of, is_whole
from hyperbolic_seg.apis.outputs import PredictionWriter
from hyperbolic_seg.apis.released import register_parts
from hyperbolic_seg.apis.releases import RELEASES
from hyperbolic_seg.datasets.loading import LoadVerifiedImage
from hyperbolic_seg.engine.checkpoints import load_weights
from hyperbolic_seg.files import images_in, output_names, sha256_of
from hyperbolic_seg.images import labels_at, reduced_size
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.models.refinement import class_probabilities
from hyperbolic_seg.text import Concept, Familiarity, Taxonomy, Vocabulary, normalize_phrases

__all__ = ['HyperSegInferencer', 'Prompts', 'load_model']

Prompts = str | Sequence[str] | Vocabulary
"""Prompts, or the name or file of a vocabulary."""

_OF_PIXELS = frozenset(('labels', 'nodes'))
"""Maps without a mean, which keep the size of the image."""


def load_model(name: str, device: str | None = None) -> 'HyperSegInferencer':
    """Load a released model; :func:`list_models` has the names.

    Args:
        name: Name of the model, such as ``'hyperclip-unet-cloud'``.
        device: Device, such as ``'cuda:0'``; by default a GPU where there is one.

    Raises:
        ValueError: There is no released model of this name.
        FileNotFoundError: Its weights are not installed; the message has the command that installs them.
        RuntimeError: Its file is not the one that was released.
    """
    if name not in RELEASES:
        raise ValueError(
            f'no released model {name!r}: expected one of {", ".join(RELEASES)}. HyperSegInferencer loads files and '
            'configs'
        )
    return HyperSegInferencer(name, device=device)


class HyperSegInferencer(BaseInferencer):
    """Segments images by prompts.

    .. code-block:: python

        inferencer = HyperSegInferencer('hyperclip-unet-cloud')  # or a config and a checkpoint
        result = inferencer(['a.jpg', 'b.jpg'], prompts=['clear sky', 'cumulus', 'cirrus'])
        result['predictions'][0]['labels']  # (H, W): indices of the prompts

    Args:
        model: Name of a released model, a file that ``tools/release.py`` wrote, a config, the file of a config, or
            the name of a config inside the package, such as ``'unet_cloud'``. A model in one file runs no code,
            whoever wrote it; a config is a program and runs as one.
        weights: Checkpoint file for a config, or its ``https://`` address; no code in it runs either. With ``None``
            the model starts as in a training, with a warning: from the weights that the config itself names, which
            are all that the configs in ``configs/zero_shot`` need.
        device: Device, such as ``'cuda:0'``; by default a GPU where there is one.
        show_progress: Show a progress bar.

    Raises:
        OSError: There is no such model or checkpoint, or the weights of a released model are not installed
            (``FileNotFoundError``); or a file cannot be read or downloaded.
        ValueError: A file is damaged, asks for more than known parts, holds more than weights, or lacks weights of
            the model; or something that a config asks for does not exist or cannot be built.
        TypeError: An option of a config is of the wrong type.
        RuntimeError: The file of a released model is not the one that was released; or PyTorch, MMEngine or open_clip
            cannot do what a config asks for.
        ImportError: A package that a config needs is not installed.
    """

    forward_kwargs: set[str] = {'as_samples', 'threshold'}
    visualize_kwargs: set[str] = {'out_dir'}

    def __init__(
        self,
        model: str | Path | Config,
        weights: str | Path | None = None,
        *,
        device: str | None = None,
        show_progress: bool = False,
    ) -> None:
        init_default_scope('mmseg')
        register_parts()
        self._whole = is_whole(model)
        self._name = (
            'config' if isinstance(model, Config) else str(model) if str(model) in RELEASES else Path(model).name
        )
        with errors_of(model):
            config, self._source = config_and_weights(model, weights)
        with errors_of(model, foreign=self._whole):
            # Without weights: MMEngine prints the path, and _load_weights_to_model reads the file itself.
            super().__init__(config, None, device=device, scope='mmseg', show_progress=show_progress)
        # The head owns the current vocabulary; set_prompts(None) goes back to this one, that of the training.
        self._trained_vocabulary = self.model.vocabulary if isinstance(self.model, HyperCLIPSegmentor) else None
        self._noted: tuple[Vocabulary, tuple[str, ...]] | None = None
        self._adaptation: str | None = None

    def __call__(
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 1,
        *,
        prompts: Prompts | None = None,
        out_dir: str | Path | None = None,
        threshold: float | None = None,
    ) -> dict[str, Any]:
        """Segment images.

        Args:
            inputs: An image file, a folder of them, an image as an (H, W, 3) uint8 BGR array, or a list.
            return_datasamples: Return :class:`mmseg.structures.SegDataSample` objects as predictions.
            batch_size: Images per forward pass, where their shapes are the same.
            prompts: A list of prompts, a vocabulary, or the name or YAML file of one. The head completes prompts that
                its taxonomy knows. ``None`` takes the vocabulary of the training.
            out_dir: Folder for label maps, overlays and ``summary.csv``, as ``hyperbolic-seg predict`` writes them.
            threshold: Also name every pixel by the deepest node of the taxonomy whose probability reaches this, above
                0.5 and at most 1: "cirrus", else "high cloud", else "cloud".

        Returns:
            ``dict(predictions=[...])`` with one dict per image: ``labels`` (H, W), indices of the prompts;
            ``classes``, the prompts in order; ``palette``, their RGB colors; ``confidence`` (H, W), the
            probability of the label; ``radius`` (H, W), the hyperbolic radius, ``None`` for a plain head. With a
            threshold also ``nodes`` (H, W), indices of ``node_names``.

        Raises:
            ValueError: Prompts are given to a model with fixed classes, or they are not valid; an input is not a
                readable image; or a threshold is out of range or given to a model without a taxonomy.
        """
        if return_datasamples and out_dir is not None:
            raise ValueError('out_dir writes predictions, not data samples: leave out return_datasamples')
        self.set_prompts(prompts)
        found: dict[str, Any] = super().__call__(
            inputs, return_datasamples, batch_size, as_samples=return_datasamples, out_dir=out_dir, threshold=threshold
        )
        return found

    def set_prompts(self, prompts: Prompts | None) -> None:
        """Segment by these prompts from now on; ``None`` goes back to the vocabulary of the training.

        Raises:
            ValueError: The model has fixed classes, or the prompts are not valid.
            RuntimeError: The prompts need the text encoder, which cannot be loaded.
        """
        if self._trained_vocabulary is not None:
            self.model.set_vocabulary(self._trained_vocabulary if prompts is None else prompts)
            self.model.decode_head.text()  # a prompt that cannot be encoded fails here, before any image
        elif prompts is not None:
            raise ValueError(
                f'a {type(self.model).__name__} has fixed classes: prompts need a HyperCLIPSegmentor; leave them out'
            )

    def adapt(self, file: str | Path) -> None:
        """Adapt to a camera by a file of ``hyperbolic-seg adapt``, from now on.

        Raises:
            OSError: The file cannot be opened.
            ValueError: It is no adaptation, was made with another model, or another one is in place already.
        """
        if self._adaptation is not None:
            raise ValueError(f'{file}: the model is adapted already; load it again for another adaptation')
        adaptation = Adaptation.load(file)
        adaptation.check_model(self.identity['sha256'])
        adaptation.change(self.model)
        self._adaptation = sha256_of(Path(file))

    def predict_one(
        self,
        image: Any,
        *,
        threshold: float | None = None,
        with_probabilities: bool = False,
        reduced: bool = False,
        reduced_labels: bool = False,
    ) -> dict[str, Any]:
        """Segment one image by the prompts of :meth:`set_prompts`.

        Args:
            image: A file, or an image that is decoded already: an (H, W, 3) uint8 BGR array.
            threshold: See :meth:`__call__`.
            with_probabilities: Also return ``probabilities``, (K, H, W), float32.
            reduced: Return ``confidence``, ``radius`` and ``probabilities`` of a large image at
                :func:`~hyperbolic_seg.images.reduced_size`, where their means are the same. At the size of the image
                they take 8 + 4 K bytes a pixel, and ``labels`` take one.
            reduced_labels: With ``reduced``, return ``labels`` and ``nodes`` at that size too, in a fraction of the
                time.

        Returns:
            The prediction, see :meth:`__call__`.
        """
        options: dict[str, Any] = dict(threshold=threshold, with_probabilities=with_probabilities)
        options |= dict(reduced=reduced, reduced_labels=reduced_labels)
        return self.predict_prepared(self.prepare(image), **options)

    def prepare(self, image: Any) -> dict[str, Any]:
        """Return a batch of one image, as the model sees it; the image itself may then leave the memory.

        Args:
            image: See :meth:`predict_one`.
        """
        return cast(dict[str, Any], self.collate_fn([self.pipeline(image)]))

    def predict_prepared(self, batch: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Segment the image of :meth:`prepare`; options and result are those of :meth:`predict_one`."""
        return cast(dict[str, Any], self.forward(batch, **options)[0])

    @property
    def takes_arrays(self) -> bool:
        """Whether the test pipeline takes an image in memory; MMCV's own loader reads the file itself."""
        return any(isinstance(step, LoadVerifiedImage) for step in self.pipeline.transforms)

    @property
    def taxonomy(self) -> Taxonomy:
        """Taxonomy of predictions with a threshold; prompts that are not its nodes are added.

        Raises:
            ValueError: The model has none.
        """
        own = self.model.decode_head.taxonomy if isinstance(self.model, HyperCLIPSegmentor) else None
        if own is None:
            raise ValueError(
                'a threshold is for models with a taxonomy: set taxonomy of the HyperCLIPHead, or leave the threshold '
                'out'
            )
        return cast(Taxonomy, own.grown(self.model.decode_head.meanings)[0])

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on prompts that the model does not know, see :class:`~hyperbolic_seg.text.Familiarity`.

        They are about models with a taxonomy. Words of the training, and those of the taxonomy, are known.
        """
        if self._familiarity is None or self._trained_vocabulary is None:
            return ()
        if self._noted is None or self._noted[0] != self.vocabulary:
            trained = {normalize_phrases(concept.phrases) for concept in self._trained_vocabulary}
            asked = [concept for concept in self.vocabulary if normalize_phrases(concept.phrases) not in trained]
            strangers = self._familiarity.strangers(Vocabulary(asked)) if asked else []
            self._noted = self.vocabulary, tuple(stranger.note for stranger in strangers)
        return self._noted[1]

    @cached_property
    def _familiarity(self) -> Familiarity | None:
        taxonomy = self.model.decode_head.taxonomy if isinstance(self.model, HyperCLIPSegmentor) else None
        return None if taxonomy is None else Familiarity(taxonomy.nodes, self.model.decode_head.text.encoder)

    @property
    def identity(self) -> dict[str, str | None]:
        """The ``name`` of the model or of its file, and the ``sha256`` of the file of its weights, if there is one.

        An adapted model also has the SHA-256 of its ``adaptation``.
        """
        return self._identity if self._adaptation is None else self._identity | dict(adaptation=self._adaptation)

    @cached_property
    def _identity(self) -> dict[str, str | None]:
        is_file = self._source is not None and Path(self._source).is_file()
        return dict(name=self._name, sha256=sha256_of(Path(str(self._source))) if is_file else None)

    @property
    def vocabulary(self) -> Vocabulary:
        """Vocabulary of the head; for a model with fixed classes, their names and colors."""
        if isinstance(self.model, HyperCLIPSegmentor):
            return self.model.vocabulary
        colors = ((red, green, blue) for red, green, blue in self.palette)
        return Vocabulary(Concept(name, color=color) for name, color in zip(self.classes, colors, strict=True))

    @property
    def classes(self) -> list[str]:
        """Names of the classes, in the order of the labels."""
        return list(self.model.dataset_meta['classes'])

    @property
    def palette(self) -> list[list[int]]:
        """RGB colors of the classes."""
        return [list(color) for color in self.model.dataset_meta['palette']]

    def forward(
        self,
        inputs: dict[str, Any],
        *,
        as_samples: bool = False,
        threshold: float | None = None,
        with_probabilities: bool = False,
        reduced: bool = False,
        reduced_labels: bool = False,
    ) -> list[Any]:
        """Predict a batch, and reduce each prediction to the requested maps before the next one is made.

        Images that differ in shape after the test pipeline are predicted one by one. Maps are enlarged to the size of
        an image some rows at a time, where the model allows it (:func:`~hyperbolic_seg.apis.coarse.is_local`).
        """
        options: dict[str, Any] = dict(threshold=threshold, with_probabilities=with_probabilities)
        options |= dict(reduced=reduced, reduced_labels=reduced_labels)
        if len({image.shape for image in inputs['inputs']}) > 1:
            parts = ({key: value[i : i + 1] for key, value in inputs.items()} for i in range(len(inputs['inputs'])))
            return [found for part in parts for found in self.forward(part, as_samples=as_samples, **options)]
        if as_samples:
            return cast(list[Any], super().forward(inputs))
        if is_local(self.model):
            return [self._enlarge(maps, sample, **options) for maps, sample in coarse_maps(self.model, inputs)]
        return [self._reduce(sample, **options) for sample in super().forward(inputs)]

    def _enlarge(
        self,
        maps: Tensor,
        sample: SegDataSample,
        threshold: float | None,
        *,
        with_probabilities: bool,
        reduced: bool,
        reduced_labels: bool,
    ) -> dict[str, Any]:
        """Return a prediction from the maps of :func:`coarse_maps`."""
        size: tuple[int, int] = sample.metainfo['ori_shape'][:2]
        names = _names(threshold, with_probabilities=with_probabilities)
        small = reduced_size(*size) if reduced else size
        if small == size or reduced_labels:
            return self._prediction(self._joined(maps, small, names, threshold))
        at_each = self._joined(maps, size, names & _OF_PIXELS, threshold)
        return self._prediction(at_each | self._joined(maps, small, names - _OF_PIXELS, threshold))

    def _joined(
        self, maps: Tensor, size: tuple[int, int], names: frozenset[str], threshold: float | None
    ) -> dict[str, NDArray[Any]]:
        """Return maps of an image of a size, (H, W), or (K, H, W), by name."""
        if names == {'labels'}:
            labels = np.empty(size, self._label_type)
            for rows, band in labels_in_bands(self.model, maps, size):
                labels[rows] = band.cpu().numpy()
            return dict(labels=labels)
        whole: dict[str, NDArray[Any]] = {}
        for rows, sample in samples_in_bands(self.model, maps, size):
            for name, part in self._maps(sample, names, threshold).items():
                if name not in whole:
                    whole[name] = np.empty((*part.shape[:-2], *size), part.dtype)
                whole[name][..., rows, :] = part
        return whole

    @property
    def _label_type(self) -> type[np.uint8 | np.uint16]:
        return np.uint8 if len(self.classes) <= 256 else np.uint16

    def _reduce(
        self,
        sample: SegDataSample,
        threshold: float | None,
        *,
        with_probabilities: bool,
        reduced: bool,
        reduced_labels: bool,
    ) -> dict[str, Any]:
        """Return a prediction from the data sample of a whole image."""
        found = self._maps(sample, _names(threshold, with_probabilities=with_probabilities), threshold)
        size: tuple[int, int] = sample.metainfo['ori_shape'][:2]
        if reduced and (small := reduced_size(*size)) != size:
            found |= {name: _averaged(part, small) for name, part in found.items() if name not in _OF_PIXELS}
            if reduced_labels:
                found |= {name: labels_at(found[name], small) for name in _OF_PIXELS & found.keys()}
        return self._prediction(found)

    def _prediction(self, maps: dict[str, NDArray[Any]]) -> dict[str, Any]:
        named: dict[str, Any] = dict(classes=self.classes, palette=self.palette, radius=None) | maps
        return named | dict(node_names=list(self.taxonomy.nodes.names)) if 'nodes' in maps else named

    def _maps(self, sample: SegDataSample, names: frozenset[str], threshold: float | None) -> dict[str, NDArray[Any]]:
        """Return the maps of these names, (H, W), or (K, H, W); no radius of a model without one."""
        found: dict[str, NDArray[Any]] = {}
        if 'labels' in names:
            found['labels'] = sample.pred_sem_seg.data[0].cpu().numpy().astype(self._label_type)
        if 'radius' in names and 'pred_radius' in sample:
            found['radius'] = sample.pred_radius.data[0].float().cpu().numpy()
        if not names - {'labels', 'radius'}:
            return found
        probabilities = self._probabilities(sample, alone=names <= {'labels', 'radius', 'confidence'})
        if 'confidence' in names:
            # One source with and without all probabilities, which would round it otherwise.
            best = sample.pred_confidence.data[0].float() if self._confident else probabilities.amax(0)
            found['confidence'] = best.cpu().numpy()
        if 'probabilities' in names:
            found['probabilities'] = probabilities.cpu().numpy()
        if threshold is not None and 'nodes' in names:
            tree = self.taxonomy
            nodes = tree.deepest(probabilities, threshold, 0, of=tree.grown(self.model.decode_head.meanings)[1])
            found['nodes'] = nodes.cpu().numpy().astype(np.uint16)
        return found

    @property
    def _confident(self) -> bool:
        """Whether the segmentor's own confidence of a pixel is the largest of its class probabilities."""
        if not isinstance(self.model, HyperCLIPSegmentor):
            return False
        return not self.model.decode_head.owners and not (self.model.test_cfg or {}).get('min_area')

    def _probabilities(self, sample: SegDataSample, *, alone: bool) -> Tensor:
        """Return the probabilities of all prompts, (K, H, W), or where that of the label is enough alone, (1, H, W).

        Raises:
            ValueError: Those of all are needed, and there are more prompts than a model predicts together.
        """
        if alone and self._confident:
            # Labelled with it already; a softmax over all classes and its maximum would take as long again.
            return cast(Tensor, sample.pred_confidence.data.float())
        if 'seg_logits' in sample:
            # For a head with one output, MMSegmentation has turned the logit into a probability already.
            return class_probabilities(sample.seg_logits.data.float())
        if alone:
            confidence: Tensor = sample.pred_confidence.data.float()
            return confidence
        raise ValueError(
            f'a threshold and a camera need the probabilities of all {len(self.classes)} prompts: set '
            'test_cfg.class_chunk of the config to as many, or leave them out'
        )

    def visualize(self, inputs: list[Any], preds: list[Any], out_dir: str | Path | None = None) -> None:
        """Write the predictions to a folder, if one is given."""
        if out_dir is None:
            return
        names = output_names([i if isinstance(i, str) else f'array_{n:04d}' for n, i in enumerate(inputs)])
        node_names = preds[0].get('node_names', ()) if preds else ()
        with PredictionWriter(out_dir, self.classes, node_names=node_names) as writer:
            for name, image, prediction in zip(names, inputs, preds, strict=True):
                writer.write(name, pixels_of(image), prediction, source=image if isinstance(image, str) else name)

    def postprocess(self, preds: list[Any], visualization: Any, return_datasamples: bool = False) -> dict[str, Any]:
        """Return the predictions as a dict."""
        return dict(predictions=preds)

    def _inputs_to_list(self, inputs: Any) -> list[Any]:
        if isinstance(inputs, (str, Path)) and Path(inputs).is_dir():
            return images_in(inputs)
        listed = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        return [str(i) if isinstance(i, Path) else i for i in listed]

    def _init_pipeline(self, cfg: Config) -> Compose:
        """Return the test pipeline without loading of annotations."""
        dataset = cfg.test_dataloader.dataset
        while 'pipeline' not in dataset:  # joined or repeated datasets: the pipeline of the first one
            dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
        steps = dataset['pipeline']
        kept = [step for step in steps if 'Annotations' not in step['type']]
        return Compose([as_sample, *(UnlessDecoded(s) if s['type'] == 'LoadImageFromFile' else s for s in kept)])

    def _init_collate(self, cfg: Config) -> Callable[..., Any]:
        """Collate to lists, so images keep their sizes."""
        return cast(Callable[..., Any], pseudo_collate)

    def _init_visualizer(self, cfg: Config) -> None:
        """Build none: predictions are written by :meth:`visualize`, and those of configs write to work folders."""

    def _load_weights_to_model(self, model: Any, checkpoint: dict[str, Any] | None, cfg: Any) -> None:
        if self._source is None:
            super()._load_weights_to_model(model, None, cfg)  # warns
            model.init_weights()
        else:
            checkpoint = CheckpointLoader.load_checkpoint(self._source, map_location='cpu', logger='silent')
            load_weights(model, checkpoint, self._source, whole=self._whole)
        meta = ((checkpoint or {}).get('meta') or {}).get('dataset_meta')
        if isinstance(model, HyperCLIPSegmentor):
            model.set_vocabulary(model.vocabulary)
        elif meta is not None:
            model.dataset_meta = checked_meta(meta, model.num_classes, self._source)
        else:
            numbered = Vocabulary(Concept(f'class {i}') for i in range(model.num_classes))
            model.dataset_meta = dict(classes=numbered.names, palette=numbered.palette)


def _names(threshold: float | None, *, with_probabilities: bool) -> frozenset[str]:
    """Return the names of the maps of a prediction."""
    more = {'nodes'} if threshold is not None else set()
    return frozenset({'labels', 'confidence', 'radius'} | more | ({'probabilities'} if with_probabilities else set()))


def _averaged(maps: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Return means of maps (..., H, W) at a smaller size."""
    stacked = torch.from_numpy(maps).reshape(1, -1, *maps.shape[-2:])
    return F.interpolate(stacked, size=size, mode='area').reshape(*maps.shape[:-2], *size).numpy()
