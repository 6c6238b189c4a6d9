"""``hyperbolic-seg serve``: the web page."""

import socket
from typing import Annotated

import typer

from hyperbolic_seg.app.cli.console import fail, quiet, tell
from hyperbolic_seg.app.cli.predict import Device, Model, Prompts, Vocabulary, Weights, asked, load

ANY = ('0.0.0.0', '::')


def serve(
    host: Annotated[str, typer.Option(help='Where to listen; only this machine by default.')] = '127.0.0.1',
    port: Annotated[int, typer.Option(min=0, max=65535, help='0 takes one that is free.')] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(help='A name that browsers may call this server by; needed beside --host.')
    ] = None,
    prompts: Prompts = None,
    vocabulary: Vocabulary = None,
    model: Model = 'hyperclip-unet-cloud',
    weights: Weights = None,
    max_megabytes: Annotated[float, typer.Option(min=0.1, help='Of an upload.')] = 20.0,
    max_pictures: Annotated[int, typer.Option(min=1, help='Kept in memory for one client.')] = 32,
    device: Device = None,
) -> None:
    """Open a web page, with a REST interface: drop pictures, type prompts, see masks and doubt.

    There are no accounts: who can reach it can use it. Put it behind a web server to let others in.

    [bold]Examples[/bold]

    hyperbolic-seg serve

    hyperbolic-seg serve --host 0.0.0.0 --allow-host sky.example.org --port 80

    Exit codes: 0 stopped, 2 it could not begin.
    """
    if host in ANY and not allow_host:
        fail(f'--host {host} listens to everybody: name by --allow-host what browsers may call this server')
    words, address = asked(prompts, vocabulary), f'[{host}]' if ':' in host else host
    try:
        with quiet():
            from hyperbolic_seg.app.web.app import create_app
            from hyperbolic_seg.app.web.limits import Limits
            from hyperbolic_seg.app.web.server import run

            limits = Limits(megabytes=max_megabytes, pictures=max_pictures, pictures_in_all=4 * max_pictures)
            inferencer = load(model, weights, words, device=device)
            app = create_app(inferencer, limits=limits, hosts=('127.0.0.1', 'localhost', address, *(allow_host or ())))
            listening = socket.create_server((host, port), family=socket.AF_INET6 if ':' in host else socket.AF_INET)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        fail(error)
    tell(f'the page is at http://{address}:{listening.getsockname()[1]}, Ctrl-C ends it')
    run(app, listening, limits)
