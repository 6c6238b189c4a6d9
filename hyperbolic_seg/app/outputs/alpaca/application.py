"""The web application of Alpaca devices: their interface, that of their management, and a page about each."""

from collections.abc import Sequence
from html import escape
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.responses import Response

from hyperbolic_seg.app.outputs.alpaca.devices import Device
from hyperbolic_seg.app.outputs.alpaca.protocol import AlpacaError, Answers, BadRequest, Parameters
from hyperbolic_seg.app.web.guards import BodyLimit, RequestLimit, SameOrigin, SecurityHeaders
from hyperbolic_seg.app.web.limits import Limits
from hyperbolic_seg.version import __version__

TITLE = 'Sky camera of hyperbolic_seg'


def create_app(devices: Sequence[Device], *, limits: Limits, location: str) -> FastAPI:
    """Make the web application of devices, each the only one of its kind, with number 0.

    Args:
        devices: The devices.
        limits: Limits of the server.
        location: Where the camera is, for people.
    """
    by_kind, answers = {device.kind.lower(): device for device in devices}, Answers()
    app = FastAPI(title=TITLE, version=__version__, openapi_url=None)
    for guard, options in ((BodyLimit, dict(limits=limits)), (SameOrigin, {}), (RequestLimit, dict(limits=limits))):
        app.add_middleware(guard, **options)  # the last one added runs first
    app.add_middleware(SecurityHeaders)

    @app.exception_handler(BadRequest)
    def refuse(request: Request, error: BadRequest) -> Response:
        return PlainTextResponse(str(error), 400)

    def device_of(kind: str, number: str) -> Device:
        if number != '0' or kind not in by_kind:
            raise BadRequest(f'no such device: expected {" or ".join(f"{one}/0" for one in by_kind)}')
        return by_kind[kind]

    def answer(asked: Parameters, device: Device, member: str, *, read: bool) -> dict[str, Any]:
        members = device.reads if read else device.writes
        if member not in members:
            raise BadRequest(f'no such member: expected one of {", ".join(sorted(members))}')
        try:
            return answers.answer(asked.transaction, members[member](asked))
        except AlpacaError as error:
            return answers.answer(asked.transaction, error=error)

    @app.get('/api/v1/{kind}/{number}/{member}')
    async def read(request: Request, kind: str, number: str, member: str) -> dict[str, Any]:
        asked = Parameters(request.query_params.multi_items(), any_case=True)
        return answer(asked, device_of(kind, number), member, read=True)

    @app.put('/api/v1/{kind}/{number}/{member}')
    async def write(request: Request, kind: str, number: str, member: str) -> dict[str, Any]:
        form = await request.form(max_files=0, max_fields=20)
        texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        return answer(Parameters(texts, any_case=False), device_of(kind, number), member, read=False)

    @app.get('/management/{path:path}')
    async def manage(request: Request, path: str) -> dict[str, Any]:
        asked = Parameters(request.query_params.multi_items(), any_case=True)
        values = {
            'apiversions': [1],
            'v1/description': dict(
                ServerName=TITLE, Manufacturer='hyperbolic_seg', ManufacturerVersion=__version__, Location=location
            ),
            'v1/configureddevices': [
                dict(DeviceName=one.name, DeviceType=one.kind, DeviceNumber=0, UniqueID=one.unique_id)
                for one in devices
            ],
        }
        if path not in values:
            raise BadRequest(f'no such path: expected one of {", ".join(values)}')
        return answers.answer(asked.transaction, values[path])

    @app.get('/setup')
    async def setup() -> HTMLResponse:
        links = [f'<li><a href="/setup/v1/{kind}/0/setup">{escape(one.name)}</a></li>' for kind, one in by_kind.items()]
        return _page(TITLE, f'<ul>{"".join(links)}</ul>')

    @app.get('/setup/v1/{kind}/{number}/setup')
    async def setup_device(kind: str, number: str) -> HTMLResponse:
        device = device_of(kind, number)
        rows = [f'<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in device.about().items()]
        note = 'Settings are those of the camera file; watch reads it when it starts.'
        return _page(device.name, f'<p>{escape(device.description)}.</p><table>{"".join(rows)}</table><p>{note}</p>')

    return app


def _page(title: str, content: str) -> HTMLResponse:
    """Return a page of HTML, whose content is escaped already."""
    head = f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
    return HTMLResponse(f'{head}<body><h1>{escape(title)}</h1>{content}</body></html>')
