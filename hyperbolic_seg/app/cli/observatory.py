"""Options of ``hyperbolic-seg watch`` for observatories: whether the sky is safe, and ASCOM Alpaca."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyperbolic_seg.app.cli.console import print_status

if TYPE_CHECKING:
    from hyperbolic_seg.app.outputs.alpaca import AlpacaOutput
    from hyperbolic_seg.app.outputs.base import Output
    from hyperbolic_seg.app.outputs.safety import SafetyOutput
    from hyperbolic_seg.sky.camera import SkyCamera

Alpaca = Annotated[
    str | None,
    typer.Option(
        metavar='[HOST:]PORT',
        help='With --camera, serve cloud cover and safety by ASCOM Alpaca, such as at 0.0.0.0:11111 for all machines.',
    ),
]


def check_alpaca(alpaca: str | None, camera: Path | None) -> tuple[str, int] | None:
    """Return the host and the port of the option, before a model is loaded.

    Raises:
        ImportError: FastAPI or uvicorn is missing.
        ValueError: The address is not valid, or no camera is given.
    """
    if alpaca is None:
        return None
    if camera is None:
        raise ValueError('--alpaca needs --camera: without one there is no cloud cover')
    from hyperbolic_seg.app.outputs.alpaca import parse_address

    return parse_address(alpaca)


def open_observatory(
    camera: 'SkyCamera | None', out: Path, address: tuple[str, int] | None, others: 'Sequence[Output]'
) -> 'list[Output]':
    """Open the outputs for observatories; return them behind the others, which are closed if one cannot be opened.

    Args:
        camera: The camera, whose rule is judged by if it has one.
        out: Folder of the results.
        address: Where Alpaca is served, if it is.
        others: Other outputs; those that can take the state of safety are given it.

    Raises:
        OSError: The file of the state cannot be written, or the address cannot be listened at.
    """
    from hyperbolic_seg.app.outputs.safety import SafetyOutput, SafetyPublisher

    opened, safety = [*others], None
    try:
        if camera is not None and camera.unsafe is not None:
            publish = [other.publish_safety for other in others if isinstance(other, SafetyPublisher)]
            safety = SafetyOutput(camera.unsafe, out, publish=publish, on_error=print_status)
            opened.append(safety)
        if camera is not None and address is not None:
            opened.append(_open_alpaca(camera, safety, out, address))
    except BaseException:
        for output in reversed(opened):
            output.close()
        raise
    return opened


def _open_alpaca(
    camera: 'SkyCamera', safety: 'SafetyOutput | None', out: Path, address: tuple[str, int]
) -> 'AlpacaOutput':
    from hyperbolic_seg.app.outputs.alpaca import AlpacaOutput

    host, port = address
    alpaca = AlpacaOutput(camera, safety, out, host=host, port=port, on_error=print_status)
    print_status(f'Alpaca is served at {f"[{host}]" if ":" in host else host}:{alpaca.port}')
    if safety is None:
        print_status('note: the camera file has no rule "unsafe", so Alpaca clients get no safety monitor')
    return alpaca
