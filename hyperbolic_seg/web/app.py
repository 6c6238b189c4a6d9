"""Pictures in, prompts in, masks out: a REST interface with an OpenAPI description, and a page that uses it."""

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, Request, UploadFile
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from pydantic import BaseModel, Field, StringConstraints
from starlette.middleware.trustedhost import TrustedHostMiddleware

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.datasets.loading import decode_picture
from hyperbolic_seg.datasets.procedural_sky import render_sky
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.models.segmentors.feature_cache import FeatureCache
from hyperbolic_seg.text import Vocabulary
from hyperbolic_seg.version import __version__
from hyperbolic_seg.visualization import blend, color_radius
from hyperbolic_seg.web.body_limit import BodyLimit

EXAMPLES = {'cumulus': 10, 'altocumulus': 3, 'fisheye': 9, 'dusk': 11}
"""Seeds of the procedural sky."""

FOLDER = Path(__file__).parent / 'page'
PAGE = {'': 'text/html', 'page.js': 'text/javascript', 'page.css': 'text/css'}
ENVELOPE = 2**14
"""Bytes around a picture in the body of an upload."""
Array = NDArray[np.uint8]
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


@dataclass(frozen=True)
class Limits:
    """What a server takes."""

    megabytes: float = 20.0
    """Of one upload."""
    pixels: int = 25_000_000
    """Of one picture."""
    pictures: int = 32
    """Kept at a time; the one used longest ago goes first."""
    side: int = 1024
    """Pictures are reduced to so many pixels of the longer side."""
    prompts: int = 64
    """At a time."""


class Question(BaseModel):
    """What to look for in a picture."""

    prompts: list[Prompt] | None = Field(
        None, description='What to look for; by default what the server was started with'
    )
    threshold: float | None = Field(None, gt=0.5, le=1, description='Also name the deepest node as probable')


class Pictures:
    """Pictures in memory by an id made of their content.

    Args:
        most: How many are kept.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, Array] = OrderedDict()
        self._lock = Lock()

    def add(self, image: Array) -> str:
        """Keep a picture; return its id."""
        name = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:24]
        with self._lock:
            self._kept[name] = image
            self._kept.move_to_end(name)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return name

    def get(self, name: str) -> Array:
        """Return a picture.

        Raises:
            HTTPException: 404, it is not kept.
        """
        with self._lock:
            if name not in self._kept:
                raise HTTPException(404, f'no picture {name!r} is kept here: upload it again')
            self._kept.move_to_end(name)
            return self._kept[name]


def create_app(
    inferencer: HyperSegInferencer, *, limits: Limits | None = None, hosts: tuple[str, ...] = ('127.0.0.1', 'localhost')
) -> FastAPI:
    """Make the web application of a model.

    Args:
        inferencer: The model.
        limits: What is taken.
        hosts: Names that a request may call this server by; others are refused, so that no foreign page can make a
            browser talk to it under a name of its own. ``('*',)`` takes all.
    """
    limits = limits or Limits()
    pictures, turn, names = Pictures(limits.pictures), Lock(), inferencer.classes
    default: Vocabulary | None = None
    if isinstance(inferencer.model, HyperCLIPSegmentor):
        default = inferencer.vocabulary
        inferencer.model.feature_cache = FeatureCache()
    app = FastAPI(title='hyperbolic_seg', version=__version__, description='Segment pictures of the sky by prompts.')
    app.add_middleware(BodyLimit, most=int(limits.megabytes * 2**20) + ENVELOPE)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*hosts])

    @app.exception_handler(ValueError)
    def refuse(request: Request, error: ValueError) -> JSONResponse:
        return JSONResponse(dict(detail=str(error)), 422)

    @app.exception_handler(RuntimeError)
    @app.exception_handler(ImportError)
    def lack(request: Request, error: Exception) -> JSONResponse:
        """Say what the server lacks, such as a text encoder for words that it does not know."""
        return JSONResponse(dict(detail=str(error)), 503)

    @app.middleware('http')
    async def own_page_only(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        """Refuse what other sites make a browser post here."""
        if request.method == 'POST' and request.headers.get('sec-fetch-site') == 'cross-site':
            return JSONResponse(dict(detail='a page of another site asked for this'), 403)
        return await call_next(request)

    def kept(image: Array) -> dict[str, Any]:
        small = _reduced(image, limits.side)
        name = pictures.add(small)
        return dict(id=name, width=small.shape[1], height=small.shape[0], picture=_data_url(small))

    @app.get('/api/model', summary='What the model names, and what is taken')
    def model() -> dict[str, Any]:
        return dict(version=__version__, prompts=names, examples=[*EXAMPLES], limits=vars(limits))

    @app.post('/api/pictures', summary='Upload a picture', status_code=201)
    async def upload(file: UploadFile) -> dict[str, Any]:
        return kept(decode_picture(await file.read(), 'the upload', max_pixels=limits.pixels))

    @app.post('/api/examples/{name}', summary='Render an example of the procedural sky', status_code=201)
    def example(name: str) -> dict[str, Any]:
        if name not in EXAMPLES:
            raise HTTPException(404, f'no example {name!r}; there are {", ".join(EXAMPLES)}')
        return kept(np.ascontiguousarray(render_sky(EXAMPLES[name], 384).image[..., ::-1]))

    @app.post('/api/pictures/{name}/segmentation', summary='Segment a picture by prompts')
    def segment(name: str, question: Question) -> dict[str, Any]:
        image = pictures.get(name)
        if question.prompts is not None and len(question.prompts) > limits.prompts:
            raise HTTPException(422, f'{len(question.prompts)} prompts: expected at most {limits.prompts}')
        with turn:
            inferencer.set_prompts(default if question.prompts is None else question.prompts)
            prediction = inferencer.predict_one(image, threshold=question.threshold)
        return _answer(image, prediction)

    @app.get('/{name}', include_in_schema=False)
    def page(name: str = '') -> Response:
        if name not in PAGE:
            raise HTTPException(404, 'no such page')
        content = (FOLDER / (name or 'index.html')).read_bytes()
        policy = "default-src 'self'; img-src 'self' data: blob:; frame-ancestors 'none'"
        return Response(content, media_type=PAGE[name], headers={'Content-Security-Policy': policy})

    app.get('/', include_in_schema=False)(page)
    return app


def _answer(image: Array, prediction: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a picture, with its maps as PNG in data URLs."""
    labels, radius, palette = prediction['labels'], prediction['radius'], prediction['palette']
    fractions = np.bincount(labels.ravel(), minlength=len(palette)) / labels.size
    named = zip(prediction['classes'], palette, fractions.tolist(), strict=True)
    doubt = 1 - prediction['confidence'] if radius is None else -radius
    answer: dict[str, Any] = dict(
        classes=[dict(name=name, color=color, fraction=share) for name, color, share in named],
        mean_confidence=float(prediction['confidence'].mean()),
        mean_radius=None if radius is None else float(radius.mean()),
        doubt_by='confidence' if radius is None else 'radius',
        overlay=_data_url(blend(image[..., ::-1], labels, palette)[..., ::-1]),
        labels=_data_url(labels),
        doubt=_data_url(color_radius(doubt)[..., ::-1]),
    )
    if 'nodes' in prediction:
        shares = np.bincount(prediction['nodes'].ravel(), minlength=len(prediction['node_names'])) / labels.size
        names = zip(prediction['node_names'], shares.tolist(), strict=True)
        answer['nodes'] = [dict(name=name, fraction=share) for name, share in names if share > 0]
    return answer


def _reduced(image: Array, side: int) -> Array:
    factor = side / max(image.shape[:2])
    if factor >= 1:
        return image
    size = [max(1, round(length * factor)) for length in image.shape[1::-1]]
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _data_url(image: NDArray) -> str:
    done, content = cv2.imencode('.png', image)
    if not done:
        raise ValueError('a map could not be encoded as PNG')
    return 'data:image/png;base64,' + base64.b64encode(content.tobytes()).decode()
