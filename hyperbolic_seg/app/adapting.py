"""Adaptation of a model to a camera: statistics of its pictures, a fit to labels, and what held-out labels say."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hyperbolic_seg.apis import Adaptation, HyperSegInferencer, mix_statistics
from hyperbolic_seg.app.labeled_pixels import (
    NODES,
    Judged,
    Sample,
    agreement,
    confusion,
    decide,
    fit,
    judge,
    rises,
    sample_of,
    see,
)
from hyperbolic_seg.evaluation import mean_iou
from hyperbolic_seg.sky import CLEAR_SKY, CLOUD

WEIGHT = 0.5
"""Weight of the statistics of the camera beside those of the model."""
MOST_PICTURES = 48
"""Most pictures that statistics are taken of, all at once and spread evenly; more would only take more memory."""

Labels = Callable[[tuple[int, int]], NDArray[np.uint8]]
"""Function of the size of a picture, (H, W), to its mask of that size."""


class Outcome(NamedTuple):
    """An adaptation, with figures on what speaks for it."""

    adaptation: Adaptation
    report: dict[str, Any]


def check(inferencer: HyperSegInferencer) -> str:
    """Return the SHA-256 of the weights of a model that can be adapted, with its prompts set.

    Raises:
        ValueError: It has no file, or weighs no colors.
    """
    digest = inferencer.identity['sha256']
    if digest is None:
        raise ValueError('an adaptation names the file of the weights, and this model has none: give --weights')
    if (inferencer.model.test_cfg or {}).get('color_likelihood') is None:
        raise ValueError(
            'an adaptation is judged by the colors of pictures: set test_cfg.color_likelihood of the model'
        )
    inferencer.set_prompts(NODES)
    return digest


@contextmanager
def camera_statistics(
    inferencer: HyperSegInferencer, files: Sequence[str], weight: float = WEIGHT
) -> Iterator[dict[str, Tensor]]:
    """Mix statistics of pictures into the batch norms of the encoder, and yield these; undone at the end.

    Raises:
        ValueError: The encoder has no batch norms, or the pictures are of several sizes.
    """
    backbone = inferencer.model.backbone
    encoder = getattr(backbone, 'encoder', backbone)
    norms = [norm for norm in encoder.modules() if isinstance(norm, nn.BatchNorm2d)]
    before = [(norm.running_mean.clone(), norm.running_var.clone()) for norm in norms]  # type: ignore[union-attr]
    try:
        with torch.no_grad():
            images = _images(inferencer, files)
            count = mix_statistics(encoder, lambda: backbone(images), weight)
        if not count:
            raise ValueError('the encoder has no batch norms: its statistics cannot follow a camera; give labels')
        changed = {id(norm) for norm in norms}
        yield {
            f'{name}.{kind}': getattr(norm, kind).clone()
            for name, norm in inferencer.model.named_modules()
            if id(norm) in changed
            for kind in ('running_mean', 'running_var')
        }
    finally:
        for norm, (mean, var) in zip(norms, before, strict=True):
            norm.running_mean.copy_(mean)  # type: ignore[union-attr]
            norm.running_var.copy_(var)  # type: ignore[union-attr]


def adapt(inferencer: HyperSegInferencer, files: Sequence[str], labels: Mapping[str, Labels]) -> Outcome:
    """Adapt a model to the camera of some pictures.

    With labels, the odds of cloud are fitted to them, with the statistics of the model, or with those of the camera
    mixed in if that does better on pictures held out. Without labels, and where labels are too few to show that a fit
    helps, statistics alone are taken, if the colors of the pictures then agree more with the model, and what labels
    there are agree no less.

    Args:
        inferencer: The model; it stays as it is.
        files: Pictures of the camera.
        labels: Masks of some of them.

    Raises:
        OSError: A picture or a mask cannot be read.
        ValueError: Labels are not valid, or what is held out, or the agreement, does not speak for an adaptation.
    """
    digest = check(inferencer)
    if not labels:
        return _by_agreement(inferencer, files, digest)
    labeled = [file for file in files if file in labels]
    plain = _samples(inferencer, labeled, labels)
    values = torch.cat([sample.labels for sample in plain])
    if len(values.unique()) < 2:
        name = 'no pixel' if not len(values) else CLOUD if values[0] else CLEAR_SKY
        raise ValueError(f'the labels name {name} alone: expected clear sky and cloud')
    with camera_statistics(inferencer, spread(files)) as statistics:
        moved = _samples(inferencer, labeled, labels)
    variants = [(0.0, dict[str, Tensor](), plain), (WEIGHT, statistics, moved)]
    judged = [found for *_, samples in variants if (found := judge(samples, plain)) is not None]
    chosen = decide(judged)
    if chosen is None:
        return _despite_labels(inferencer, files, digest, (plain, moved), judged)
    weight, mixed, samples = variants[chosen]
    report: dict[str, Any] = dict(
        pictures=len(spread(files)) if weight else len(labeled),
        labeled=len(labeled),
        statistics=weight,
        agreement=None,
        held_out=[judged[chosen].before, judged[chosen].after],
    )
    return Outcome(Adaptation(digest, mixed, fit(samples), report), report)


class _Agreement(NamedTuple):
    """Agreement of a model with the colors of pictures, before and after it takes the statistics of their camera."""

    statistics: dict[str, Tensor]
    means: list[float] | None
    """Mean agreement without and with them; ``None`` where no picture has a color."""
    rises: bool
    pictures: int

    def __str__(self) -> str:
        shown = 'no picture has a color' if self.means is None else _arrow(self.means)
        return f'with the statistics of the {self.pictures} pictures, the colors agree no more with the model ({shown})'

    def report(self, **labels: Any) -> dict[str, Any]:
        """Return the figures for people, beside what labels say."""
        return dict(pictures=self.pictures, statistics=WEIGHT, agreement=self.means, **labels)


def _agree(inferencer: HyperSegInferencer, files: Sequence[str]) -> _Agreement:
    chosen = spread(files)
    before = agreement([see(inferencer, file) for file in chosen])
    with camera_statistics(inferencer, chosen) as statistics:
        after = agreement([see(inferencer, file) for file in chosen])
    means = [float(np.nanmean(before)), float(np.nanmean(after))] if np.isfinite(before).any() else None
    return _Agreement(statistics, means, rises(after - before), len(chosen))


def _by_agreement(inferencer: HyperSegInferencer, files: Sequence[str], digest: str) -> Outcome:
    found = _agree(inferencer, files)
    if not found.rises:
        raise ValueError(f'no adaptation: {found}: keep the model as it is, or give --masks or --clicks')
    report = found.report(labeled=0, held_out=None)
    return Outcome(Adaptation(digest, found.statistics, None, report), report)


def _despite_labels(
    inferencer: HyperSegInferencer,
    files: Sequence[str],
    digest: str,
    tried: tuple[Sequence[Sample], Sequence[Sample]],
    judged: Sequence[Judged],
) -> Outcome:
    """Take the statistics of the camera by their agreement, where no fit to the labels can be shown to help.

    Args:
        inferencer: The model.
        files: Pictures of the camera.
        digest: SHA-256 of the weights.
        tried: Labeled pixels with the statistics of the model and of the camera.
        judged: What labels held out say of the fits; empty for a single labeled picture.
    """
    if judged:
        own = _arrow((judged[0].before, judged[0].after))
        fits = (
            f'on labels held out of the {len(tried[0])} pictures, it does not better the mean IoU beyond chance ({own})'
        )
    else:
        fits = 'one picture is labeled: with none to hold out, nothing tells whether it helps'
    # No label is used to make the statistics, so all of them are held out.
    before, after = (float(mean_iou(confusion(samples, None))) for samples in tried)
    found = _agree(inferencer, files)
    if after < before or not found.rises:
        lower = f'the statistics of the pictures lower the mean IoU of the labels ({_arrow((before, after))})'
        reason = lower if after < before else found
        raise ValueError(f'no adaptation: {fits}; {reason}: keep the model as it is, or label more days')
    report = found.report(labeled=len(tried[0]), held_out=[before, after])
    return Outcome(Adaptation(digest, found.statistics, None, report), report)


def _samples(inferencer: HyperSegInferencer, files: Sequence[str], labels: Mapping[str, Labels]) -> list[Sample]:
    found = []
    for number, file in enumerate(files):
        seen = see(inferencer, file)
        found.append(sample_of(seen, labels[file](seen.size), number))
    return found


def _images(inferencer: HyperSegInferencer, files: Sequence[str]) -> Tensor:
    """Return pictures as the encoder gets them, (N, 3, H, W).

    Raises:
        ValueError: They are of several sizes.
    """
    found = [inferencer.model.data_preprocessor(inferencer.prepare(file), False)['inputs'] for file in files]
    if len(sizes := {tuple(image.shape[2:]) for image in found}) > 1:
        shown = ' and '.join(f'{width} x {height}' for height, width in sorted(sizes)[:2])
        raise ValueError(
            f'the pictures are of several shapes, as the model sees them {shown}: expected those of one camera'
        )
    return torch.cat(found)


def spread(files: Sequence[str]) -> list[str]:
    """Return some of the pictures, spread evenly."""
    chosen = np.linspace(0, len(files) - 1, min(len(files), MOST_PICTURES)).round().astype(int)
    return [files[number] for number in chosen]


def _arrow(values: Sequence[float]) -> str:
    return f'{values[0]:.3f} before, {values[1]:.3f} after'
