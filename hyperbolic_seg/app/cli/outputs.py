"""Options of ``hyperbolic-seg watch`` that hand each record to other programs."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hyperbolic_seg.app.cli.console import print_status

if TYPE_CHECKING:
    from hyperbolic_seg.app.outputs.base import Output

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
