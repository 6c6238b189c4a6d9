"""The chain from coarse logits to labels, once for all that predicts.

Coarse logits are enlarged along the edges of the image (guided filter), weighed by its colors (color likelihood),
averaged over windows, and become labels with their confidence. :class:`HyperCLIPSegmentor` runs the chain on all
classes at once, :mod:`~hyperbolic_seg.models.segmentors.class_chunks` on some at a time, and the export traces it.

The refined logits of a class are ``fine + shift[kind]``: what the edges make of the class by itself, and a shift that
all classes of its kind share. So only the kinds are ever needed together, never all classes.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hyperbolic_seg.geometry.numeric import at_least_float32, traced
from hyperbolic_seg.models.refinement.color_likelihood import apply_color_likelihood
from hyperbolic_seg.models.refinement.guided_filter import guided_logarithms
from hyperbolic_seg.models.refinement.odds import Odds, apply_odds
from hyperbolic_seg.models.refinement.pixel_adaptive import pixel_adaptive

_PORTION = 2**17
"""Numbers of logits that are looked at together on a CPU, in whose cache they stay."""


class Background(NamedTuple):
    """The class that takes the pixels of which a model is unsure."""

    label: int
    below: float
    """Confidence below which a pixel is background."""


@dataclass(frozen=True)
class Refinement:
    """Steps between the logits of a head and the labels of a prediction.

    Args:
        multilabel: Each class has a probability of its own (sigmoid), and not a share of one (softmax).
        align_corners: As for :func:`torch.nn.functional.interpolate`.
        guided: Options of :func:`~hyperbolic_seg.models.refinement.guided_filter.guided_upsample`; ``None`` enlarges
            bilinearly.
        color_likelihood: Options of :func:`~hyperbolic_seg.models.refinement.color_likelihood.apply_color_likelihood`;
            ``None`` leaves the colors out.
        kinds: Number of the kind of every class, or of every query, from 0 on. Colors tell kinds apart, not classes of
            one kind.
        varied: True for each kind of many colors; see
            :func:`~hyperbolic_seg.models.refinement.color_likelihood.apply_color_likelihood`.
        background: The class for unsure pixels; ``None`` for none.
        owners: Class of every query where classes have several, one query after the other; empty where each row of the
            logits is a class.
        pamr: Options of :func:`~hyperbolic_seg.models.refinement.pixel_adaptive.pixel_adaptive`, which refines averages
            at the size of the original image; ``None`` leaves them as they are.
        min_area: Share of the pixels outside the background that a class needs; see :func:`label`.
        odds: A change of the odds of two kinds, after the color likelihood; ``None`` for none.

    Raises:
        ValueError: Multilabel probabilities meet ``guided``, ``color_likelihood`` or ``odds``, which share one
            probability among the classes.
    """

    multilabel: bool = False
    align_corners: bool = False
    guided: Mapping[str, Any] | None = None
    color_likelihood: Mapping[str, Any] | None = None
    kinds: tuple[int, ...] = ()
    varied: tuple[bool, ...] = ()
    background: Background | None = None
    owners: tuple[int, ...] = ()
    pamr: Mapping[str, Any] | None = None
    min_area: float = 0.0
    odds: Odds | None = None

    def __post_init__(self) -> None:
        for name in ('guided', 'color_likelihood'):
            if self.multilabel and getattr(self, name) is not None:
                raise ValueError(
                    f'test_cfg.{name} is for probabilities of one class among all, and the loss has use_sigmoid=True, '
                    'a probability for each class: leave one of the two out'
                )
        if self.multilabel and self.odds is not None:
            raise ValueError(
                'a change of odds is for probabilities of one class among all, and the loss has use_sigmoid=True, a '
                'probability for each class: predict without it'
            )

    @property
    def normalizes(self) -> bool:
        """True if refined logits are logarithms of probabilities that sum to one."""
        return self.guided is not None or self.color_likelihood is not None or self.odds is not None

    @property
    def plain(self) -> bool:
        """True if the label of a pixel is that of the largest logit at it, wherever its neighbors are."""
        return self.pamr is None and not self.min_area and not self.normalizes


def enlarge(maps: Tensor, image: Tensor, *, align_corners: bool = False) -> Tensor:
    """Enlarge maps (N, C, h, w) bilinearly to the size of an image (N, 3, H, W)."""
    return F.interpolate(maps, size=image.shape[2:], mode='bilinear', align_corners=align_corners)


def refine(
    coarse: Tensor, image: Tensor, refinement: Refinement, *, levels: Tensor, inside: Tensor | None = None
) -> Tensor:
    """Bring the logits of all classes to the size of the image, along its edges and by its colors.

    Args:
        coarse: Logits of a head, (N, K, h, w).
        image: What the model was given, (N, 3, H, W).
        refinement: What to do.
        levels: The same image in levels of 0 to 255.
        inside: True where a pixel belongs to the image and not to its padding, (N, 1, H, W); ``None`` for everywhere.

    Returns:
        Logits (N, K, H, W); logarithms of probabilities if the refinement normalizes.
    """
    fine = enlarge_logits(coarse, image, refinement)
    if not refinement.normalizes:
        return fine
    of_kinds = sum_by_kind(fine, refinement.kinds)
    return fine + kind_shift(of_kinds, refinement, levels=levels, inside=inside)[:, refinement.kinds]


def enlarge_logits(coarse: Tensor, image: Tensor, refinement: Refinement, *, total: Tensor | None = None) -> Tensor:
    """Enlarge the logits of some classes, each by itself, along the edges of the image if the refinement says so.

    Args:
        coarse: Logits of a head, (N, K', h, w).
        image: What the model was given, (N, 3, H, W).
        refinement: What to do.
        total: Logarithm of the summed exponentials of *all* classes, (N, 1, h, w). By default these classes are all.

    Returns:
        Logits (N, K', H, W), of the guided filter up to a constant of each pixel.
    """
    if refinement.guided is None:
        return enlarge(coarse, image, align_corners=refinement.align_corners)
    total = log_total(coarse) if total is None else total
    return guided_logarithms((coarse.float() - total).exp(), image, **refinement.guided)


def log_total(logits: Tensor) -> Tensor:
    """Return the logarithm of the summed exponentials of classes, (N, 1, h, w)."""
    return logits.float().logsumexp(1, keepdim=True)


def sum_by_kind(logits: Tensor, kinds: Sequence[int], count: int | None = None) -> Tensor:
    """Sum the exponentials of the logits of each kind.

    Args:
        logits: Logits of some classes, (N, K', H, W).
        kinds: The kinds of these classes.
        count: Number of kinds G; by default those of these classes.

    Returns:
        Logarithms of the sums, (N, G, H, W); minus infinity for a kind that none of the classes belongs to.
    """
    count = max(kinds) + 1 if count is None else count
    members = [[i for i, kind in enumerate(kinds) if kind == number] for number in range(count)]
    nothing = logits.new_full((), -torch.inf, dtype=torch.float32).expand_as(logits[:, 0])
    return torch.stack([_log_sum(logits[:, of].float()) if of else nothing for of in members], 1)


def _log_sum(logits: Tensor) -> Tensor:
    """Sum the exponentials of logits (N, K', H, W); that of a single class is itself."""
    return logits[:, 0] if logits.shape[1] == 1 else logits.logsumexp(1)


def kind_shift(
    of_kinds: Tensor,
    refinement: Refinement,
    *,
    levels: Tensor,
    inside: Tensor | None = None,
    varied: Tensor | None = None,
) -> Tensor:
    """Return what turns the logits of each kind's classes into logarithms of probabilities.

    Args:
        of_kinds: What :func:`sum_by_kind` returns for all classes, (N, G, H, W).
        refinement: What to do.
        levels: The image in levels of 0 to 255, (N, 3, H, W).
        inside: True where a pixel belongs to the image and not to its padding, (N, 1, H, W).
        varied: Which kinds are of many colors, boolean, (G,); by default those of the refinement.

    Returns:
        A summand for every kind, (N, G, H, W).
    """
    log_probs = of_kinds.log_softmax(1)
    if refinement.color_likelihood is not None:
        many = (refinement.varied or None) if varied is None else varied
        options = refinement.color_likelihood
        log_probs = apply_color_likelihood(log_probs, levels, inside=inside, varied=many, **options)
    if refinement.odds is not None:
        log_probs = apply_odds(log_probs, levels, refinement.odds)
    return log_probs - of_kinds


def to_average(logits: Tensor, refinement: Refinement) -> Tensor:
    """Return what windows are averaged by: logits, or the probabilities of multilabel heads, as in CAT-Seg."""
    # In half precision probabilities near 0 and 1 tie, and the first class would win.
    return at_least_float32(logits).sigmoid() if refinement.multilabel else logits


def refine_average(averaged: Tensor, image: Tensor | None, refinement: Refinement) -> Tensor:
    """Refine averages (K', H, W), of all classes or some, by an image of the same size, (3, H, W)."""
    if refinement.pamr is None or image is None:
        return averaged
    return pixel_adaptive(averaged[None], image[None], **refinement.pamr)[0]


def from_average(averaged: Tensor, refinement: Refinement) -> Tensor:
    """Return logits for what :func:`to_average` has made and windows have averaged."""
    return averaged.clamp_min(torch.finfo(averaged.dtype).tiny).log() if refinement.multilabel else averaged


def of_one_window(logits: Tensor, refinement: Refinement) -> Tensor:
    """Return ``from_average(to_average(logits))`` without a sigmoid, for an export.

    onnxruntime's sigmoid is 0 for logits below about -18, where PyTorch's still tells classes apart down to -87, and
    its logsigmoid is the logarithm of that. Normalized probabilities of a file were off by up to 0.75.
    """
    if not refinement.multilabel:
        return logits
    # log(1 + x) and not log1p(x): certain classes tie at probability 1, as their sigmoids do.
    log_probs = -((-logits).relu() + (1 + (-logits.abs()).exp()).log())
    return log_probs.clamp_min(math.log(torch.finfo(logits.dtype).tiny))


def average_windows(parts: Iterable[tuple[tuple[Any, ...], Tensor]], weight: Tensor) -> Tensor:
    """Average maps of overlapping windows.

    Args:
        parts: The slices of the whole that a window covers, and its maps (N, C, h, w).
        weight: One divided by the number of windows at every pixel, (1, 1, H, W).

    Returns:
        (N, C, H, W).

    Raises:
        ValueError: There is no window.
    """
    total: Tensor | None = None
    for place, maps in parts:
        if total is None:
            total = weight.new_zeros((*maps.shape[:2], *weight.shape[2:]))
        total[place] += maps * weight[place]
    if total is None:
        raise ValueError('expected at least one window to average, got none')
    return total


def average_views(windows: Tensor, whole: Tensor) -> Tensor:
    """Average what windows say and what a view of the whole image says; both count the same, as in CAT-Seg."""
    return (windows + whole) / 2


def decide(
    chunks: Iterable[Tensor], background: Background | None = None, *, dim: int = 0, owners: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Label every pixel with its most probable class.

    Args:
        chunks: Logits of some classes after the other, such as (K', H, W); together they are of all classes.
        background: The class for unsure pixels.
        dim: Dimension of the classes.
        owners: Class of every query if the logits are of queries, among which the probability is shared. Then a pixel
            gets the class of its most probable query, and the confidence is the probability of that query.

    Returns:
        Labels and their confidence, which is the probability of the label among all classes, without ``dim``. A pixel
        that becomes background keeps the confidence of the class that it was unsure of.

    Raises:
        ValueError: There are no classes.
    """
    best = _best_rows(chunks, dim)
    return _unsure_to_background(owned(best.rows, owners), (best.logits - best.totals).exp(), background)


def most_probable(logits: Tensor, owners: Sequence[int] = ()) -> Tensor:
    """Return the labels alone that :func:`decide` returns without a background, (H, W), in a third of its time.

    Args:
        logits: Logits of all classes, (K, H, W).
        owners: See :func:`decide`.
    """
    return owned(logits.max(0).indices, owners)


def label(chunks: Callable[[], Iterable[Tensor]], refinement: Refinement) -> tuple[Tensor, Tensor]:
    """Label every pixel of an image as :func:`decide` does, but without classes of a small area.

    With ``min_area`` a class is left out if its labels cover at most this share of the pixels outside the background,
    and its pixels go to the next most probable class, as in the released code of SCLIP. Areas are counted before pixels
    of low confidence become background, and probabilities remain those among all classes. If all classes are that
    small, all pixels become background; without a background, none is left out.

    Args:
        chunks: Returns logits of some classes after the other, (K', H, W); called again if a class of some pixels is
            left out.
        refinement: ``background``, ``owners`` and ``min_area``.

    Returns:
        Labels and their confidence, (H, W).
    """
    best = _best_rows(chunks(), 0)
    labels, tops = owned(best.rows, refinement.owners), best.logits
    if refinement.min_area:
        count = max(refinement.owners) + 1 if refinement.owners else best.size
        small = _small_classes(labels, count, refinement)
        if small[labels].any():
            left_out = owned(torch.arange(best.size, device=small.device), refinement.owners)
            other = _best_rows(chunks(), 0, left_out=small[left_out])
            labels, tops = owned(other.rows, refinement.owners), other.logits
    return _unsure_to_background(labels, (tops - best.totals).exp(), refinement.background)


class _Best(NamedTuple):
    rows: Tensor
    """The row of the largest logit of every pixel."""
    logits: Tensor
    totals: Tensor
    """Logarithm of the summed exponentials of all rows."""
    size: int
    """Number of rows."""


def _best_rows(chunks: Iterable[Tensor], dim: int, *, left_out: Tensor | None = None) -> _Best:
    """Find the largest logits, but for rows that are left out; those count in the totals alone."""
    start, best = 0, None
    for logits in chunks:
        stop = start + logits.shape[dim]
        top, row, total = _largest(logits, dim)
        if left_out is not None:
            logits = logits.masked_fill(left_out[start:stop].view(-1, *[1] * (logits.ndim - 1)), -torch.inf)
            top, row = logits.max(dim)
        if best is None:
            best, rows, totals = top, row, total
        else:
            rows = torch.where(top > best, row + start, rows)
            best, totals = torch.maximum(top, best), torch.logaddexp(totals, total)
        start = stop
    if best is None:
        raise ValueError('expected the logits of at least one class, got none')
    return _Best(rows, best, totals, start)


def _largest(logits: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the largest logits, the first rows that have them, and the logarithm of the summed exponentials."""
    if traced(logits) or logits.dtype != torch.float32 or torch.is_grad_enabled():
        return *logits.max(dim), logits.logsumexp(dim)
    # PyTorch's max with indices takes twice as long on a CPU as all of this, which is vectorized.
    if dim == 0 and logits.numel() > _PORTION and len(logits):
        step = max(_PORTION // logits[:, :1].numel(), 1)
        parts = [_largest_of_portion(part, 0) for part in logits.split(step, 1)]
        top, row, total = (torch.cat(maps) for maps in zip(*parts, strict=True))
        return top, row, total
    return _largest_of_portion(logits, dim)


def _largest_of_portion(logits: Tensor, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    count, most = logits.shape[dim], torch.finfo(torch.float32).max
    top = logits.amax(dim, keepdim=True)
    below = logits - top.clamp_min(-most)  # 0 in the rows of the largest logit alone
    ranks = torch.arange(count - 1, -1, -1, device=logits.device, dtype=torch.float32)
    first = torch.add(ranks.view(-1, *[1] * (logits.ndim - 1 - dim % logits.ndim)), below, alpha=most).amax(dim)
    row = count - 1 - first.nan_to_num_(0).clamp_min_(0).long()
    return top.squeeze(dim), row, below.exp_().sum(dim).log_() + top.squeeze(dim)


def owned(rows: Tensor, owners: Sequence[int]) -> Tensor:
    """Return the class of each number of a query, see :class:`Refinement`; without owners the numbers as they are."""
    return torch.tensor(owners, device=rows.device)[rows] if owners else rows


def _unsure_to_background(labels: Tensor, confidence: Tensor, background: Background | None) -> tuple[Tensor, Tensor]:
    if background is not None:
        labels = labels.masked_fill(confidence < background.below, background.label)
    return labels, confidence


def _small_classes(labels: Tensor, count: int, refinement: Refinement) -> Tensor:
    """Return True for classes with labels on too small an area, (count,), and never for the background."""
    areas = torch.bincount(labels.flatten(), minlength=count)
    if refinement.background is not None:
        areas[refinement.background.label] = 0
    small = areas <= refinement.min_area * areas.sum()
    if refinement.background is not None:
        small[refinement.background.label] = False
    return small & ~small.all()


def class_probabilities(logits: Tensor, dim: int = 0) -> Tensor:
    """Return the probabilities of all classes for the ``seg_logits`` of a data sample.

    Of a head with one output MMSegmentation keeps a probability under that name, that of the second of two classes.

    Args:
        logits: Such as (K, H, W), or (1, H, W) of a head with one output.
        dim: Dimension of the classes.

    Returns:
        Probabilities that sum to one along ``dim``, such as (K, H, W), or (2, H, W).
    """
    return torch.cat([1 - logits, logits], dim) if logits.shape[dim] == 1 else logits.softmax(dim)
