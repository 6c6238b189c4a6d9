"""Any decode head of MMSegmentation with a hyperbolic classifier instead of its last convolution."""

from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import nn

DEFAULT = dict(type='HyperbolicMLR')


@MODELS.register_module(name='HyperbolicHead')
def hyperbolic_head(head: dict[str, Any], classifier: dict[str, Any] | None = None, **kwargs: Any) -> BaseDecodeHead:
    """Build a decode head that classifies in hyperbolic space.

    In a config it wraps the head::

        decode_head=dict(
            type='HyperbolicHead',
            classifier=dict(type='HyperbolicMLR', learned=True),
            head=dict(type='PSPHead', in_channels=2048, ...))

    The result is the head itself, an instance of its own class, with another module in the place of ``conv_seg``, a 1x1
    convolution. The features before it are read as tangent vectors at the origin.

    A classifier without ``c`` gets a curvature that fits its number of channels and is calibrated by the first batch,
    so that it starts and trains like the convolution, with the same learning rate.

    Args:
        head: Config of a head that classifies by ``conv_seg``, as all convolutional heads of MMSegmentation do.
        classifier: Config of :class:`HyperbolicMLR` (the default), :class:`HyperbolicPrototypes` or
            :class:`EntailmentCones`, without sizes, which follow from the head. ``calibrate`` is True unless ``c`` is
            given.
        **kwargs: Further options of the head; they override those in ``head``.

    Raises:
        TypeError: The head has no 1x1 convolution ``conv_seg`` to replace.
    """
    built = MODELS.build({**head, **kwargs})
    conv = getattr(built, 'conv_seg', None)
    if not isinstance(built, BaseDecodeHead) or not isinstance(conv, nn.Conv2d) or conv.kernel_size != (1, 1):
        raise TypeError(
            f'{type(built).__name__} classifies by {type(conv).__name__}, expected a decode head with a 1x1 '
            'convolution conv_seg: leave such a head as it is, or give it a classifier of your own'
        )
    options = dict(classifier or DEFAULT)
    options.setdefault('calibrate', 'c' not in options)
    built.conv_seg = MODELS.build({**options, 'in_channels': conv.in_channels, 'num_classes': conv.out_channels})
    return built
