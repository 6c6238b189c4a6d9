"""Options of ``hyperbolic-seg watch`` that write series of each day, and hand each record to other programs."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyperbolic_seg.app.cli.console import print_status
from hyperbolic_seg.app.cli.predict import check_installed

if TYPE_CHECKING:
    from hyperbolic_seg.apis import Inferencer
    from hyperbolic_seg.app.outputs.base import Output
    from hyperbolic_seg.app.outputs.daily import DailySeries
    from hyperbolic_seg.app.watching import Journal
    from hyperbolic_seg.sky.camera import SkyCamera

Series = Annotated[
    bool, typer.Option('--series', help='With --camera, time series, plots and a keogram of each day, in OUT/series.')
]
Mqtt = Annotated[
    str | None,
    typer.Option(
        metavar='URL',
        help='Publish the latest record by MQTT, also for Home Assistant: mqtt://USER@HOST:1883/PREFIX, or mqtts:// '
        'with TLS; the password comes from HYPERBOLIC_SEG_MQTT_PASSWORD.',
    ),
]
Webhook = Annotated[
    str | None,
    typer.Option(
        metavar='URL',
        help='Post each record to this URL, in order and at least once; HYPERBOLIC_SEG_WEBHOOK_SECRET signs it.',
    ),
]


def prepare_outputs(*, mqtt: str | None, webhook: str | None) -> Callable[[Path], 'list[Output]']:
    """Check the options, before a model is loaded; return a function of the folder of results that opens the outputs.

    Args:
        mqtt: URL for :class:`~hyperbolic_seg.app.outputs.mqtt.MqttOutput`.
        webhook: URL for :class:`~hyperbolic_seg.app.outputs.webhook.WebhookOutput`.

    Raises:
        ValueError: A URL is not valid.
    """
    from hyperbolic_seg.app.outputs.mqtt import MqttOutput
    from hyperbolic_seg.app.outputs.mqtt_address import MqttAddress
    from hyperbolic_seg.app.outputs.webhook import WebhookOutput, check_webhook

    address = None if mqtt is None else MqttAddress.parse(mqtt)
    url = None if webhook is None else check_webhook(webhook)
    password, secret = map(os.environ.get, ('HYPERBOLIC_SEG_MQTT_PASSWORD', 'HYPERBOLIC_SEG_WEBHOOK_SECRET'))

    def open_outputs(out: Path) -> 'list[Output]':
        opened: list[Output] = []
        try:
            if address is not None:
                opened.append(MqttOutput(address, print_status, password=password))
            if url is not None:
                opened.append(WebhookOutput(url, out, print_status, secret=secret))
        except BaseException:
            for output in opened:
                output.close()
            raise
        return opened

    return open_outputs


def check_daily(camera: Path | None) -> None:
    """Check that series of days can be written, before a model is loaded.

    Raises:
        ImportError: A package is not installed.
        ValueError: There is no camera.
    """
    if camera is None:
        raise ValueError('--series needs --camera, which says when and how the images were taken')
    check_installed('xarray', 'netCDF4', 'matplotlib', what='--series')


def daily_series(journal: 'Journal', inferencer: 'Inferencer', camera: 'SkyCamera') -> 'DailySeries':
    """Return the output of time series of each day.

    Raises:
        OSError: The folder of the series is a link.
    """
    from hyperbolic_seg.app.outputs.daily import DailySeries

    found = DailySeries(journal, camera, palette=dict(zip(inferencer.classes, inferencer.palette, strict=True)))
    if found.note is not None:
        print_status(f'note: {found.note}')
    return found
