"""``hyperbolic-seg serve``: the web page."""

import socket
from pathlib import Path
from typing import Annotated, Any

import typer

from hyperbolic_seg.app.cli.console import fail, import_plugin, print_status, quiet
from hyperbolic_seg.app.cli.predict import (
    Adapted,
    Device,
    Model,
    Prompts,
    Vocabulary,
    Weights,
    adaptation_of,
    check_threshold,
    load,
    load_camera,
    parse_prompts,
)

ALL_INTERFACES = ('0.0.0.0', '::')


def serve(
    host: Annotated[str, typer.Option(help='Address to listen at; default: this machine only.')] = '127.0.0.1',
    port: Annotated[int, typer.Option(min=0, max=65535, help='Port; 0 takes a free one.')] = 8000,
    allow_host: Annotated[
        list[str] | None, typer.Option(help='Host name or address in the URLs of browsers; needed with --host 0.0.0.0.')
    ] = None,
    prompts: Prompts = None,
    vocabulary: Vocabulary = None,
    model: Model = 'hyperclip-unet-cloud',
    weights: Weights = None,
    adaptation: Adapted = None,
    threshold: Annotated[
        float | None,
        typer.Option(help='Also name the deepest node with at least this probability, if a request gives no other.'),
    ] = None,
    camera: Annotated[
        Path | None, typer.Option(help='YAML of the fisheye camera that took the uploads; see predict.')
    ] = None,
    watched: Annotated[
        Path | None, typer.Option(help='Folder --out of watch: show its latest image and the course of a day.')
    ] = None,
    max_megabytes: Annotated[float, typer.Option(min=0.1, help='Limit of an upload.')] = 20.0,
    max_gigabytes: Annotated[
        float, typer.Option(min=0.1, help='Limit of the memory for models that predict all pixels at once.')
    ] = 6.0,
    max_images: Annotated[int, typer.Option(min=1, help='Images in memory for one client.')] = 32,
    device: Device = None,
) -> None:
    """Open a web page with a REST interface: drop images, type prompts, see masks and confidence.

    There are no accounts: everybody who can reach the server can use it. Put it behind a web server to admit others.

    For example:

    hyperbolic-seg serve

    hyperbolic-seg serve --camera camera.yaml --threshold 0.6

    hyperbolic-seg serve --camera camera.yaml --watched /srv/results

    hyperbolic-seg serve --host 0.0.0.0 --allow-host sky.example.org --port 80

    Exit codes: 0 stopped, 2 it could not begin.
    """
    if host in ALL_INTERFACES and not allow_host:
        fail(f'--host {host} listens on all interfaces: name by --allow-host the address that browsers may use')
    names, address = parse_prompts(prompts, vocabulary), f'[{host}]' if ':' in host else host
    try:
        with quiet():
            import_plugin()
            from hyperbolic_seg.app.web.app import create_app
            from hyperbolic_seg.app.web.journal_days import JournalDays
            from hyperbolic_seg.app.web.limits import Limits
            from hyperbolic_seg.app.web.server import run

            limits = Limits(
                megabytes=max_megabytes,
                images_per_client=max_images,
                images=4 * max_images,
                predict_bytes=int(max_gigabytes * 1e9),
            )
            own_camera = None if camera is None else load_camera(camera)
            journal = None if watched is None else JournalDays(watched)
            adapted = adaptation_of(own_camera, adaptation)
            inferencer = load(model, weights, names, device=device, adaptation=adapted)
            check_threshold(inferencer, threshold)
            options: dict[str, Any] = dict(camera=own_camera, threshold=threshold, watched=journal)
            allowed = ('127.0.0.1', 'localhost', address, *(allow_host or ()))
            app = create_app(inferencer, limits=limits, hosts=allowed, **options)
            listening = socket.create_server((host, port), family=socket.AF_INET6 if ':' in host else socket.AF_INET)
    except (OSError, ValueError, TypeError, RuntimeError, ImportError) as error:
        fail(error)
    print_status(f'the page is at http://{address}:{listening.getsockname()[1]}, Ctrl-C ends it')
    run(app, listening, limits)
