"""Options that ``test_cfg`` of a :class:`HyperCLIPSegmentor` takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from hyperbolic_seg.models.refinement.color_likelihood import apply_color_likelihood
from hyperbolic_seg.models.refinement.guided_filter import guided_upsample
from hyperbolic_seg.models.refinement.pixel_adaptive import pixel_adaptive
from hyperbolic_seg.options import check_names, check_number, check_options, check_size, check_whole

CLASS_CHUNK = 64
"""Number of classes that are predicted at a time, by default."""
WINDOW_BATCH = 4
"""Number of windows that pass the encoder together, by default; on a CPU one, whose cache more would leave."""
KNOWN = (
    'mode', 'resize', 'crop_size', 'stride', 'whole_view', 'antialias', 'window_batch', 'class_chunk', 'guided',
    'color_likelihood', 'pamr', 'background', 'min_area', 'shrink',
)  # fmt: skip
_MOST_STEPS, _MOST_DILATIONS, _LARGEST_DILATION = 100, 16, 1024


def check_test_cfg(options: Mapping[str, Any]) -> None:
    """Refuse options that cannot be meant, before any image is predicted.

    Raises:
        TypeError: An option is unknown, or not of the type expected.
        ValueError: An option is out of range.
    """
    if unknown := set(options) - set(KNOWN):
        raise TypeError(f'test_cfg has {", ".join(sorted(map(str, unknown)))}: expected some of {", ".join(KNOWN)}')
    _check_windows(options)
    for name in ('window_batch', 'class_chunk', 'shrink'):
        if name in options:
            check_whole(f'test_cfg.{name}', options[name])
    if (guided := options.get('guided')) is not None:
        check_options('test_cfg.guided', guided, guided_upsample)
        check_whole('test_cfg.guided.radius', guided.get('radius', 1))
        check_number('test_cfg.guided.eps', guided.get('eps', 1), above=0)
    if (color_likelihood := options.get('color_likelihood')) is not None:
        check_options('test_cfg.color_likelihood', color_likelihood, apply_color_likelihood, without=('inside',))
        check_number('test_cfg.color_likelihood.weight', color_likelihood.get('weight', 1), least=0)
        for name in ('rounds', 'step'):
            check_whole(f'test_cfg.color_likelihood.{name}', color_likelihood.get(name, 1))
        check_number('test_cfg.color_likelihood.temperature', color_likelihood.get('temperature', 1), above=0)
        check_names('test_cfg.color_likelihood.varied', color_likelihood.get('varied', ()))
    if (pamr := options.get('pamr')) is not None:
        _check_pamr(pamr)
    if background := options.get('background'):
        if not isinstance(background, Mapping) or set(background) != {'name', 'below'}:
            raise TypeError(f"test_cfg.background={background!r}: expected dict(name='a concept', below=0.4)")
        check_number('test_cfg.background.below', background['below'], least=0, most=1)
    if (min_area := options.get('min_area')) is not None:
        check_number('test_cfg.min_area', min_area, least=0, most=1)


def _check_pamr(options: Any) -> None:
    check_options('test_cfg.pamr', options, pixel_adaptive)
    # Every step passes over the image eight times for each dilation.
    check_whole('test_cfg.pamr.steps', steps := options.get('steps', 1))
    check_number('test_cfg.pamr.steps', steps, most=_MOST_STEPS)
    dilations = options.get('dilations', (1,))
    if isinstance(dilations, str) or not isinstance(dilations, Sequence):
        raise TypeError(f'test_cfg.pamr.dilations={dilations!r}: expected a list of distances in pixels')
    if not 1 <= len(dilations) <= _MOST_DILATIONS:
        raise ValueError(f'test_cfg.pamr.dilations={dilations!r}: expected 1 to {_MOST_DILATIONS} distances')
    for dilation in dilations:
        check_whole('test_cfg.pamr.dilations', dilation)
        check_number('test_cfg.pamr.dilations', dilation, most=_LARGEST_DILATION)


def _check_windows(options: Mapping[str, Any]) -> None:
    if (mode := options.get('mode', 'whole')) not in ('whole', 'slide'):
        raise ValueError(f"test_cfg.mode={mode!r}: expected 'whole' or 'slide'")
    for name in ('resize', 'whole_view'):
        if options.get(name) is not None:
            if mode != 'slide':
                raise ValueError(f"test_cfg.{name}={options[name]} is for mode='slide', got mode={mode!r}")
            check_size(f'test_cfg.{name}', options[name])
    if not isinstance(antialias := options.get('antialias', True), bool):
        raise TypeError(f'test_cfg.antialias={antialias!r}: expected True or False')
    for name in ('crop_size', 'stride'):
        if (size := options.get(name)) is not None or mode == 'slide':
            check_size(f'test_cfg.{name}', size)
    if mode == 'slide' and any(step > side for step, side in zip(options['stride'], options['crop_size'], strict=True)):
        raise ValueError(
            f'test_cfg.stride={options["stride"]} beyond crop_size={options["crop_size"]}: no window would cover the '
            'pixels in between'
        )
