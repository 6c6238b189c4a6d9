"""Options of ``hyperbolic-seg watch`` for observatories: whether the sky is safe, and ASCOM Alpaca."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyperbolic_seg.app.cli.console import print_status

if TYPE_CHECKING:
    from hyperbolic_seg.app.outputs.base import Output
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
    camera: 'SkyCamera | None', out: Path, address: tuple[str, int] | None, *, others: 'Sequence[Output]' = ()
) -> 'list[Output]':
    """Open the outputs for observatories.

    Args:
        camera: The camera, whose rule is judged by if it has one.
        out: Folder of the results.
        address: Where Alpaca is served, if it is.
        others: Other outputs; those that can take the state of safety are given it.

    Raises:
        OSError: The file of the state cannot be written, or the address cannot be listened at.
    """
    from hyperbolic_seg.app.outputs.safety import SafetyOutput, SafetyPublisher

    if camera is None:
        return []
    safety = None
    if camera.unsafe is not None:
        publish = [other.publish_safety for other in others if isinstance(other, SafetyPublisher)]
        safety = SafetyOutput(camera.unsafe, out, publish=publish, on_error=print_status)
    if address is None:
        return [] if safety is None else [safety]
    from hyperbolic_seg.app.outputs.alpaca import AlpacaOutput

    if safety is None:
        print_status('note: the camera file has no rule "unsafe", so Alpaca clients get no safety monitor')
    try:
        host, port = address
        alpaca = AlpacaOutput(camera, safety, out, host=host, port=port, on_error=print_status)
    except BaseException:
        if safety is not None:
            safety.close()
        raise
    print_status(f'Alpaca is served at {f"[{host}]" if ":" in host else host}:{alpaca.port}')
    return [alpaca] if safety is None else [safety, alpaca]
