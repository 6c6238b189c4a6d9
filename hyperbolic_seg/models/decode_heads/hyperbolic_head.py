"""Any decode head of MMSegmentation with a hyperbolic classifier in the place of its last convolution."""

from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import nn

DEFAULT = dict(type='HyperbolicMLR')


@MODELS.register_module(name='HyperbolicHead')
def hyperbolic_head(head: dict, classifier: dict | None = None, **kwargs: Any) -> BaseDecodeHead:
    """Build a decode head and let it classify in hyperbolic space.

    In a config, around what the head would be without it::

        decode_head=dict(
            type='HyperbolicHead',
            classifier=dict(type='HyperbolicMLR', c=0.1),
            head=dict(type='PSPHead', in_channels=2048, ...))

    The result is the head itself, an instance of its own class, whose ``conv_seg``, a 1x1 convolution, has been
    replaced; the features before it are read as tangent vectors at the origin.

    Args:
        head: Config of a head that classifies by ``conv_seg``, as all of MMSegmentation's convolutional ones do.
        classifier: Config of :class:`HyperbolicMLR` (the default), :class:`HyperbolicPrototypes` or
            :class:`EntailmentCones`, without the sizes, which are the head's.
        **kwargs: Further options of the head; they win over those in ``head``.

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
    built.conv_seg = MODELS.build(
        {**(classifier or DEFAULT), 'in_channels': conv.in_channels, 'num_classes': conv.out_channels}
    )
    return built
