"""HyperCLIPSegmentor: an encoder-decoder whose classes are words that can be changed."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from hyperbolic_seg.layers import share_bank
from hyperbolic_seg.models.refinement import chain
from hyperbolic_seg.models.refinement.chain import Background, Refinement
from hyperbolic_seg.models.refinement.levels import levels_of
from hyperbolic_seg.models.refinement.odds import Odds, OddsChange
from hyperbolic_seg.models.segmentors.class_bands import label_in_bands
from hyperbolic_seg.models.segmentors.class_chunks import at_original_size, class_chunks, view_in_chunks
from hyperbolic_seg.models.segmentors.feature_cache import FeatureCache
from hyperbolic_seg.models.segmentors.inference_options import CLASS_CHUNK, WINDOW_BATCH, check_test_cfg
from hyperbolic_seg.models.segmentors.views import ViewPrediction
from hyperbolic_seg.models.segmentors.windows import (
    Window,
    cut_windows,
    inside_image,
    shrink_whole,
    shrunk,
    to_canvas,
    window_weights,
)
from hyperbolic_seg.text import Vocabulary


@MODELS.register_module()
class HyperCLIPSegmentor(EncoderDecoder):
    """An :class:`mmseg.models.EncoderDecoder` around a head that classifies by words, such as :class:`HyperCLIPHead`.

    The head owns the vocabulary. Number of classes and ``dataset_meta`` follow it.

    Beside ``seg_logits`` and ``pred_sem_seg`` the data samples carry ``pred_confidence``, the probability of the label
    (1, H, W), ``pred_radius``, the hyperbolic radius of every pixel (1, H, W), and as meta information ``classes``,
    ``palette`` and ``lineages`` (names with their ancestors) of the vocabulary, which metric and visualizer follow.

    Options of ``test_cfg``, beside MMSegmentation's:

    - ``guided``: options of :func:`guided_upsample`. Probabilities follow the edges of the image when they are enlarged
      to its size; ``seg_logits`` are their logarithms.
    - ``color_likelihood``: options of :func:`apply_color_likelihood`. Probabilities are weighed by the colors of the
      image. This takes images in red, green and blue that the data preprocessor normalizes, if at all, by ``mean`` and
      ``std``. Its ``varied`` are names of nodes of the taxonomy whose pixels have many colors, such as ``'not sky'``.
    - ``shrink``: 2 shows the encoder the averages of squares of 2 x 2 pixels, and ``guided`` and ``color_likelihood``
      every pixel: masks follow edges that are too fine for the size of the training. Height and width have to be
      multiples of it, which ``size_divisor`` of the data preprocessor sees to.
    - ``background``: ``dict(name='background', below=0.4)``. Pixels whose label has a lower probability get the label
      of that name.
    - ``pamr``: options of :func:`pixel_adaptive`, such as ``dict(steps=10, dilations=(8, 16))``. Averages over windows
      follow the edges of the image, at its original size.
    - ``min_area``: 0.1 leaves out classes whose labels cover at most a tenth of the pixels outside the background; see
      :func:`~hyperbolic_seg.models.refinement.chain.label`.
    - ``class_chunk``: how many classes are predicted at a time, 64 by default. A larger vocabulary is predicted in
      chunks, and without ``guided``, ``color_likelihood``, ``pamr`` and ``min_area`` in bands of a few rows too, so the
      logits of all classes never exist at the size of an image; its data samples carry no ``seg_logits``.
    - ``window_batch``: with ``mode='slide'``, how many windows pass the encoder together, by default 4, and 1 on a CPU.
    - ``whole_view``: with ``mode='slide'``, a size (height, width) at which the whole image is seen too. This view
      counts as much as all windows together, as in CAT-Seg.
    - ``resize``: with ``mode='slide'``, a size (height, width) to which images are resized before windows are cut. The
      whole view is made of the image as it was.
    - ``antialias``: average pixels where ``whole_view`` and ``resize`` shrink an image, as by default. The released
      code of CAT-Seg does not.

    If the loss gives every class a probability of its own (``use_sigmoid=True``), windows are averaged as
    probabilities, and ``seg_logits`` are their logarithms.

    If every phrase is a query (``queries='phrase'`` of the head), ``pred_confidence`` is the probability of the most
    similar query among all queries, and ``seg_logits`` are those of the most similar query of every class.

    With ``share_adapters=True`` the text tower mixes its adapters of the type ``'SharedScaling'`` from the bank of the
    vision tower; both have the same ``count`` and ``block_size``.

    Raises:
        TypeError: The head has no vocabulary.
        ValueError: An option of ``test_cfg`` is out of range or does not fit the loss, or adapters cannot be shared.
    """

    feature_cache: FeatureCache | None = None
    """Set one to name other things in the same images without encoding them again. Not while weights change."""
    odds_change: OddsChange | None = None
    """A change of the odds of two kinds of pixels, as labels of a camera tell it. It says nothing about a vocabulary
    without one of the two."""

    def __init__(
        self, *args: Any, test_cfg: dict[str, Any] | None = None, share_adapters: bool = False, **kwargs: Any
    ) -> None:
        check_test_cfg(test_cfg or {})
        super().__init__(*args, test_cfg=test_cfg, **kwargs)
        if share_adapters:
            share_bank(self.backbone, self.decode_head)
        # Refuses what does not fit a sigmoid before any image. A background may be named later, with the vocabulary.
        options = {name: self._option(name) for name in ('guided', 'color_likelihood')}
        Refinement(multilabel=self.decode_head.multilabel, **options)
        self.decode_head.check_nodes((options['color_likelihood'] or {}).get('varied', ()))

    def _init_decode_head(self, decode_head: Any) -> None:
        self.decode_head = MODELS.build(decode_head)
        if not isinstance(getattr(self.decode_head, 'vocabulary', None), Vocabulary):
            raise TypeError(
                f'decode_head is a {type(self.decode_head).__name__}, which has no vocabulary: expected a head such as '
                "HyperCLIPHead, or type='EncoderDecoder' for the segmentor"
            )
        self.align_corners = self.decode_head.align_corners

    @property
    def vocabulary(self) -> Vocabulary:
        """What the model names now; the head owns it."""
        vocabulary: Vocabulary = self.decode_head.vocabulary
        return vocabulary

    @property
    def num_classes(self) -> int:
        """Number of concepts of the vocabulary."""
        return len(self.vocabulary)

    @property
    def out_channels(self) -> int:
        """Number of logits for each pixel."""
        return len(self.vocabulary)

    @property
    def dataset_meta(self) -> dict[str, Any]:
        """Names and colors of the classes, as MMSegmentation asks for them."""
        return dict(classes=self.vocabulary.names, palette=self.vocabulary.palette)

    @dataset_meta.setter
    def dataset_meta(self, value: Any) -> None:
        """Drop what MMSegmentation's ``init_model`` reads from a checkpoint: the head names the classes."""

    def set_vocabulary(self, prompts: str | Sequence[str] | Vocabulary) -> None:
        """Name other things from now on, without training; see :meth:`OpenVocabularyHead.set_vocabulary`."""
        self.decode_head.set_vocabulary(prompts)

    @property
    def refinement(self) -> Refinement:
        """What ``test_cfg`` says about the way from coarse logits to labels, for the vocabulary of now.

        Raises:
            ValueError: An option is out of range or does not fit the loss, or the background is no concept.
        """
        check_test_cfg(self.test_cfg or {})
        background = self._option('background')
        color_likelihood, varied = self._colors()
        owners = self.decode_head.owners
        # Without colors nothing tells kinds apart: one kind for all is the softmax over all classes.
        odds = self._odds()
        plain = color_likelihood is None and odds is None
        kinds = (0,) * len(self.vocabulary) if plain else tuple(self.decode_head.kinds)
        named = background and Background(self.vocabulary.index_of(background['name']), background['below'])
        return Refinement(
            multilabel=self.decode_head.multilabel,
            align_corners=self.align_corners,
            guided=self._option('guided'),
            color_likelihood=color_likelihood,
            kinds=tuple(kinds[owner] for owner in owners) if owners else kinds,
            varied=varied,
            background=named or None,
            owners=owners,
            pamr=self._option('pamr'),
            min_area=self._option('min_area') or 0.0,
            odds=odds,
        )

    def _colors(self) -> tuple[dict[str, Any] | None, tuple[bool, ...]]:
        """Return the options of the color likelihood, and which kinds are of many colors; empty if none is."""
        options = self._option('color_likelihood')
        if options is None:
            return None, ()
        varied = self.decode_head.kinds_below(options['varied']) if options.get('varied') else ()
        return {name: value for name, value in options.items() if name != 'varied'}, varied if any(varied) else ()

    def _odds(self) -> Odds | None:
        """Return the change of odds with the numbers of its kinds, if the vocabulary has both."""
        if self.odds_change is None:
            return None
        kinds = zip(self.decode_head.meanings, self.decode_head.kinds, strict=True)
        numbers = {name: kind for concept, kind in kinds for name in concept.lineage}
        first, second = (numbers.get(node) for node in self.odds_change.nodes)
        if first is None or second is None or first == second:
            return None
        return Odds(self.odds_change, (first, second))

    @property
    def class_chunk(self) -> int:
        """How many classes are predicted at a time."""
        chunk: int = self.test_cfg.get('class_chunk', CLASS_CHUNK)
        return chunk

    @property
    def labels_alone(self) -> bool:
        """True if the maps at a pixel decide on its label: without ``pamr``, ``min_area`` and chunks of classes."""
        refinement = self.refinement
        return refinement.pamr is None and not refinement.min_area and len(self.vocabulary) <= self.class_chunk

    def _option(self, name: str) -> Any:
        return (self.test_cfg or {}).get(name)

    def extract_feat(self, inputs: Tensor) -> Any:
        """Return the features of images, (N, 3, H, W), from :attr:`feature_cache` where they are known."""
        if self.feature_cache is None or torch.is_grad_enabled():
            return super().extract_feat(inputs)
        return self.feature_cache(super().extract_feat, inputs)

    def features_of(self, inputs: Tensor) -> Any:
        """Return the features by which images are predicted, those of the images shrunk by ``test_cfg.shrink``.

        Raises:
            ValueError: Height or width is no multiple of it.
        """
        return self.extract_feat(shrunk(inputs, self._option('shrink') or 1))

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Return what is averaged over windows and, as the last channel, the radius: (N, K + 1, H, W).

        Heads that gather last return what is averaged of words, (N, W + 1, H, W), for :meth:`postprocess_result`.
        """
        refinement = self.refinement
        logits, radius = self.decode_head.forward_with_radius(self.features_of(inputs))
        if not self.decode_head.gathers_last:
            logits = self.decode_head.gather(logits)
        logits = chain.refine(
            logits,
            inputs,
            refinement,
            levels=levels_of(inputs, self.data_preprocessor),
            inside=inside_image(inputs, batch_img_metas),
        )
        radius = chain.enlarge(radius, inputs, align_corners=self.align_corners)
        return torch.cat([chain.to_average(logits, refinement), radius], 1)

    def slide_inference(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Average over overlapping windows, each added into its place: (N, K + 1, H, W), or at ``test_cfg.resize``."""
        canvas = to_canvas(inputs, batch_img_metas, self.test_cfg)
        windows = cut_windows(canvas.crop, canvas.metas, self.test_cfg)
        average = chain.average_windows(self._predicted(windows), window_weights(windows, canvas.crop))
        view = shrink_whole(inputs, batch_img_metas, self.test_cfg)
        if view is None:
            return average
        whole = self.encode_decode(view.crop, view.metas)
        return chain.average_views(average, chain.enlarge(whole, canvas.crop, align_corners=self.align_corners))

    def _predicted(self, windows: Sequence[Window]) -> Iterator[tuple[tuple[Any, ...], Tensor]]:
        """Yield the place of every window with its maps, (N, K + 1, h, w), some windows at a time."""
        together = 1 if windows[0].crop.device.type == 'cpu' else WINDOW_BATCH
        batch = self.test_cfg.get('window_batch', together)
        for start in range(0, len(windows), batch):
            some = windows[start : start + batch]
            crops = torch.cat([window.crop for window in some])
            maps = self.encode_decode(crops, [meta for window in some for meta in window.metas])
            for window, part in zip(some, maps.split(len(some[0].crop)), strict=True):
                yield window.place, part

    def val_step(self, data: dict[str, Any]) -> list[SegDataSample]:
        """Predict a batch; see :meth:`test_step`."""
        return self.test_step(data)

    def test_step(self, data: dict[str, Any]) -> list[SegDataSample]:
        """Predict a batch from a data loader. Images of several sizes are predicted one by one."""
        return [sample for batch in self._batches(data) for sample in self._run_forward(batch, mode='predict')]

    def views_of(self, data: dict[str, Any]) -> list[tuple[ViewPrediction, SegDataSample]]:
        """Return what is predicted of a batch from a data loader, before labels, with the data samples."""
        found: list[tuple[ViewPrediction, SegDataSample]] = []
        for batch in self._batches(data):
            samples = batch['data_samples']
            found += zip(self._views(batch['inputs'], samples), samples, strict=True)
        return found

    def _batches(self, data: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield batches of images of one size each, preprocessed."""
        inputs, samples = data['inputs'], data.get('data_samples')
        if samples is None or len({tuple(image.shape[-2:]) for image in inputs}) == 1:
            yield self.data_preprocessor(data, False)
            return
        for image, sample in zip(inputs, samples, strict=True):
            yield self.data_preprocessor(dict(inputs=[image], data_samples=[sample]), False)

    def predict(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Predict images, (N, 3, H, W); see the class for what the samples carry."""
        samples = _samples_of(inputs) if data_samples is None else data_samples
        if len(self.vocabulary) > self.class_chunk and self.refinement.plain and not any(map(_flipped, samples)):
            for image, sample in zip(inputs.split(1), samples, strict=True):
                self._pack_maps(*label_in_bands(self, image, sample, self.class_chunk), sample)
            return samples
        for view, sample in zip(self._views(inputs, samples), samples, strict=True):
            self.pack(view, sample)
        return samples

    def _views(self, inputs: Tensor, samples: list[SegDataSample]) -> Iterator[ViewPrediction]:
        if len(self.vocabulary) > self.class_chunk:
            for image, sample in zip(inputs.split(1), samples, strict=True):
                yield view_in_chunks(self, image, sample, self.class_chunk)
        elif samples:
            maps = self.inference(inputs, [sample.metainfo for sample in samples])
            yield from self._views_of_maps(maps, samples, inputs)

    def _views_of_maps(
        self, maps: Tensor, samples: list[SegDataSample], inputs: Tensor | None
    ) -> Iterator[ViewPrediction]:
        refinement = self.refinement
        if refinement.pamr is not None and inputs is None:
            raise ValueError('test_cfg.pamr refines by the colors of the images: expected inputs, got None')
        for i, sample in enumerate(samples):
            resized = at_original_size(self, maps[i : i + 1], sample)
            averaged, radius = resized[:-1], resized[-1:]
            if inputs is not None and refinement.pamr is not None:
                averaged = chain.refine_average(averaged, at_original_size(self, inputs[i : i + 1], sample), refinement)
            yield ViewPrediction(partial(iter, (chain.from_average(averaged, refinement),)), radius)

    def postprocess_result(
        self,
        seg_logits: Tensor,
        data_samples: list[SegDataSample] | None = None,
        *,
        inputs: Tensor | None = None,
    ) -> list[SegDataSample]:
        """Bring averages and radius to the size of the original image and pack them.

        Args:
            seg_logits: What :meth:`inference` returns, (N, K + 1, H, W).
            data_samples: Meta information of the images.
            inputs: The images, (N, 3, H, W), which ``test_cfg.pamr`` needs.

        Raises:
            ValueError: ``test_cfg.pamr`` has no images.
        """
        samples = _samples_of(seg_logits if inputs is None else inputs) if data_samples is None else data_samples
        for view, sample in zip(self._views_of_maps(seg_logits, samples, inputs), samples, strict=True):
            self.pack(view, sample)
        return samples

    def labels_of(self, maps: Tensor, refinement: Refinement | None = None) -> Tensor:
        """Return the labels of one image alone, (H, W), as :meth:`postprocess_result` gives them.

        Args:
            maps: What :meth:`inference` returns, (K + 1, H, W).
            refinement: :attr:`refinement`, for a caller with many maps, because its checks take time.
        """
        refinement = self.refinement if refinement is None else refinement
        if refinement.multilabel or refinement.background is not None:
            (sample,) = self.postprocess_result(maps[None])
            labels: Tensor = sample.pred_sem_seg.data[0]
            return labels
        return chain.most_probable(maps[:-1], refinement.owners)

    def pack(self, view: ViewPrediction, sample: SegDataSample) -> None:
        """Put label, confidence and radius of every pixel, and the words, into a data sample.

        Args:
            view: What is predicted.
            sample: Gets the logits too, unless the vocabulary is larger than :attr:`class_chunk`.
        """
        refinement, head = self.refinement, self.decode_head
        chunks = class_chunks(len(self.vocabulary), self.class_chunk)

        def rows() -> Iterator[Tensor]:
            for logits, (start, stop) in zip(view.logits(), chunks, strict=True):
                yield head.gather(logits, start, stop, dim=0) if refinement.multilabel else logits

        labels, confidence = chain.label(rows, refinement)
        if len(chunks) == 1:
            (logits,) = view.logits()
            sample.seg_logits = PixelData(data=head.gather(logits, dim=0) if head.gathers_last else logits)
        self._pack_maps(labels, confidence, view.radius, sample)

    def _pack_maps(self, labels: Tensor, confidence: Tensor, radius: Tensor, sample: SegDataSample) -> None:
        sample.pred_sem_seg = PixelData(data=labels[None])
        sample.pred_confidence = PixelData(data=confidence[None])
        sample.pred_radius = PixelData(data=radius)
        self._add_words(sample)

    def _add_words(self, sample: SegDataSample) -> None:
        lineages = tuple(concept.lineage for concept in self.vocabulary)
        sample.set_metainfo(dict(self.dataset_meta, lineages=lineages))


def _flipped(sample: SegDataSample) -> bool:
    return bool(sample.metainfo.get('flip'))


def _samples_of(images: Tensor) -> list[SegDataSample]:
    """Return data samples for images that come without them."""
    size = tuple(images.shape[2:])
    meta = dict(ori_shape=size, img_shape=size, pad_shape=size, padding_size=[0] * 4)
    return [SegDataSample(metainfo=meta) for _ in images]
