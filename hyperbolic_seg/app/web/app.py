"""The web application: a REST interface with an OpenAPI description, and a page that uses it."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, create_model
from starlette.middleware.trustedhost import TrustedHostMiddleware

from hyperbolic_seg.apis import HyperSegInferencer
from hyperbolic_seg.app.web.decoder import Decoder
from hyperbolic_seg.app.web.guards import (
    SECURITY_HEADERS,
    BodyLimit,
    RequestLimit,
    SameOrigin,
    SecurityHeaders,
    client_of,
)
from hyperbolic_seg.app.web.image_store import ImageStore
from hyperbolic_seg.app.web.limits import Gate, Limits
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.models.segmentors import FeatureCache
from hyperbolic_seg.sky.renderer import render_sky
from hyperbolic_seg.text import Vocabulary
from hyperbolic_seg.version import __version__
from hyperbolic_seg.visualization import blend, color_radius

EXAMPLES = {'cumulus': 10, 'altocumulus': 3, 'fisheye': 9, 'dusk': 11}
"""Seeds of the procedural sky."""

PAGES = {
    '': 'index.html',
    'page.js': 'page.js',
    'page.css': 'page.css',
    'docs': 'rest.html',
    'rest.js': 'rest.js',
    'swagger-ui-bundle.js': 'swagger-ui-bundle.js',
    'swagger-ui.css': 'swagger-ui.css',
}
"""Files by their path on the server."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MEDIA_TYPES = {'.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css'}
Array = NDArray[np.uint8]
Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Id = Annotated[str, PathParameter(description='Id in the answer to the upload', max_length=64)]
Example = Annotated[str, PathParameter(json_schema_extra=dict(enum=[*EXAMPLES]))]
UPLOAD_FORM = dict(
    required=True,
    content={
        'multipart/form-data': dict(
            schema=dict(type='object', required=['file'], properties=dict(file=dict(type='string', format='binary')))
        )
    },
)
"""Body of an upload as OpenAPI describes it."""


class Problem(BaseModel):
    """An error."""

    detail: str


class ModelInfo(BaseModel):
    """The prompts of the model and the limits of the server."""

    version: str
    prompts: list[str] = Field(description='Prompts of a request that has none')
    examples: list[str]
    limits: dict[str, float]


class StoredImage(BaseModel):
    """An image in the memory of the server."""

    id: str
    width: int
    height: int
    image: str = Field(description='PNG in a data URL')


class Share(BaseModel):
    """The share of an image that a class covers."""

    name: str
    fraction: float


class ClassShare(Share):
    """The share of a prompt, with its color in the overlay."""

    color: tuple[int, int, int]


class Segmentation(BaseModel):
    """The segmentation of an image."""

    classes: list[ClassShare]
    mean_confidence: float
    mean_radius: float | None
    uncertainty_by: str
    overlay: str = Field(description='PNG in a data URL')
    labels: str = Field(description='Indices of the prompts, PNG in a data URL')
    uncertainty: str = Field(description='Bright where the model is uncertain, PNG in a data URL')
    nodes: list[Share] | None = None


PROBLEMS = {
    400: 'The request is malformed, or names a foreign host (then as plain text)',
    403: 'A page of another origin sent this',
    404: 'Nothing has this name',
    408: 'The body did not arrive in time',
    411: 'The request has no Content-Length',
    413: 'The body is too large',
    422: 'The content is not valid: the detail says why',
    500: 'The server failed: its log says why',
    503: 'The server is busy, see Retry-After; or it lacks a part that the request needs',
}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of the errors of a path: these, and those of any path."""
    found = sorted({400, 500, 503, *statuses})
    return {status: dict(model=Problem, description=PROBLEMS[status]) for status in found}


def _stores(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a path that stores an image, with a link from its id to the segmentation."""
    link = dict(operationId='segment', parameters=dict(id='$response.body#/id'))
    return {**_problems(*statuses), 201: dict(description='The image is stored', links=dict(segment=link))}


def create_app(
    inferencer: HyperSegInferencer, *, limits: Limits | None = None, hosts: tuple[str, ...] = ('127.0.0.1', 'localhost')
) -> FastAPI:
    """Make the web application of a model.

    Args:
        inferencer: The model.
        limits: Limits of the server.
        hosts: Names under which requests may call this server. Others are refused, so that no foreign page can make a
            browser talk to it under a name of that page. ``('*',)`` allows all.
    """
    limits = limits or Limits()
    store, turn, names = ImageStore(limits.images_per_client, limits.images), Lock(), inferencer.classes
    decoder = Decoder(workers=limits.decoders, seconds=limits.decode_seconds, memory=limits.decode_bytes)
    uploading, predicting, rendering = Gate(limits.waiting), Gate(limits.waiting), Gate(limits.decoders)
    contents = {path: _page_file(file) for path, file in PAGES.items()}
    default: Vocabulary | None = None
    if isinstance(inferencer.model, HyperCLIPSegmentor):
        default = inferencer.vocabulary
        inferencer.model.feature_cache = FeatureCache()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(decoder.start)
        yield
        decoder.close()

    app = FastAPI(
        title='hyperbolic_seg',
        version=__version__,
        description='Segment images of the sky by prompts.',
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    # The last middleware added runs first.
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(SameOrigin)
    app.add_middleware(RequestLimit, limits=limits)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[*hosts], www_redirect=False)
    app.add_middleware(SecurityHeaders)
    _add_error_handlers(app)

    def store_image(request: Request, image: Array) -> StoredImage:
        name = store.add(client_of(request.scope), image)
        return StoredImage(id=name, width=image.shape[1], height=image.shape[0], image=_data_url(image))

    @app.get('/api/model', summary='Prompts of the model and limits of the server', responses=_problems())
    async def model() -> ModelInfo:
        return ModelInfo(version=__version__, prompts=names, examples=[*EXAMPLES], limits=vars(limits))

    @app.post(
        '/api/images',
        summary='Upload an image',
        status_code=201,
        responses=_stores(403, 408, 411, 413, 422),
        openapi_extra=dict(requestBody=UPLOAD_FORM),
    )
    async def upload(request: Request) -> StoredImage:
        with uploading.enter():  # the form is parsed by the decoder, in its own process
            form = request.headers.get('content-type', ''), await request.body()
            image = await run_in_threadpool(decoder, *form, max_pixels=limits.pixels, side=limits.side)
            return await run_in_threadpool(store_image, request, image)

    @app.post(
        '/api/examples/{name}',
        summary='Render an example of the procedural sky',
        status_code=201,
        responses=_stores(403, 404, 408, 411, 413, 422),
    )
    def example(request: Request, name: Example) -> StoredImage:
        if name not in EXAMPLES:
            raise HTTPException(404, f'no such example; there are {", ".join(EXAMPLES)}')
        with rendering.enter():
            return store_image(request, _rendered(EXAMPLES[name], min(384, limits.side)))

    @app.post(
        '/api/images/{id}/segmentation',
        summary='Segment an image by prompts',
        operation_id='segment',
        responses=_problems(403, 404, 408, 411, 413, 422),
    )
    def segment(id: Id, question: _question(limits)) -> Segmentation:  # type: ignore[valid-type]
        image = store.get(id)
        if image is None:
            raise HTTPException(404, 'no image has this id: upload it again')
        with predicting.enter(), turn:
            inferencer.set_prompts(default if question.prompts is None else question.prompts)
            prediction = inferencer.predict_one(image, threshold=question.threshold)
        return Segmentation(**_answer(image, prediction))

    @app.get('/{name}', include_in_schema=False)
    async def page(name: str = '') -> Response:
        if name not in contents:
            raise HTTPException(404, 'no such page')
        headers = {'Content-Security-Policy': PAGE_POLICY, 'Cache-Control': 'no-cache'}
        return Response(contents[name], media_type=MEDIA_TYPES[Path(PAGES[name]).suffix], headers=headers)

    app.get('/', include_in_schema=False)(page)
    return app


def _question(limits: Limits) -> type[BaseModel]:
    """Return the schema of a question about an image, within the limits."""

    def check_phrases(prompts: list[str]) -> list[str]:
        if (count := sum(prompt.count(';') + 1 for prompt in prompts)) > limits.phrases:
            raise ValueError(f'{count} phrases, expected at most {limits.phrases} in all prompts together')
        names = [' '.join(prompt.partition(';')[0].casefold().split()) for prompt in prompts]
        if len(set(names)) < len(names):
            raise ValueError('two prompts have the same name, expected distinct ones')
        return prompts

    lengths = Field(min_length=2, max_length=limits.prompts, json_schema_extra=dict(uniqueItems=True))
    prompts = Annotated[list[Prompt], lengths, AfterValidator(check_phrases)]
    deepest = 'Also name the deepest node of the taxonomy with at least this probability'
    about = 'Prompts, with synonyms after semicolons; default: those that the server was started with'
    return create_model(
        'Question',
        __config__=ConfigDict(extra='forbid', allow_inf_nan=False),
        __doc__='A question about an image.',
        prompts=(prompts | None, Field(None, description=about)),
        threshold=(float | None, Field(None, strict=True, gt=0.5, le=1, description=deepest)),
    )


def _add_error_handlers(app: FastAPI) -> None:
    """Answer every error with a ``detail`` that does not repeat the content of the request."""

    @app.exception_handler(RequestValidationError)
    def refuse_form(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = error.errors()[:3]
        # The name of an unknown field is the sender's own text.
        places = [one['loc'][1:-1] if one['type'] == 'extra_forbidden' else one['loc'][1:] for one in errors]
        messages = ['.'.join(map(str, place)) + ': ' + one['msg'] for place, one in zip(places, errors, strict=True)]
        return _refusal(422, '; '.join(messages).removeprefix(': '))

    @app.exception_handler(ValueError)
    def refuse(request: Request, error: ValueError) -> JSONResponse:
        return _refusal(422, str(error))

    @app.exception_handler(RuntimeError)
    @app.exception_handler(ImportError)
    def lack(request: Request, error: Exception) -> JSONResponse:
        """Name what the server lacks, such as a text encoder for new prompts."""
        return _refusal(503, str(error))

    @app.exception_handler(Exception)
    def fail(request: Request, error: Exception) -> JSONResponse:
        """Answer without the cause, which is in the log."""
        return _refusal(500, 'the server failed: its log says why', SECURITY_HEADERS)


def _refusal(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(dict(detail=detail if len(detail) <= 300 else detail[:297] + '...'), status, headers)


def _page_file(name: str) -> bytes:
    """Read a file of the page, or of the package that contains Swagger UI."""
    own = Path(__file__).parent / 'page' / name
    return own.read_bytes() if own.is_file() else (files('fastapi_offline') / 'static' / name).read_bytes()


@lru_cache
def _rendered(seed: int, size: int) -> Array:
    return np.ascontiguousarray(render_sky(seed, size).image[..., ::-1])


def _answer(image: Array, prediction: dict[str, Any]) -> dict[str, Any]:
    """Return the answer for an image, with its maps as PNG in data URLs."""
    labels, radius, palette = prediction['labels'], prediction['radius'], prediction['palette']
    fractions = np.bincount(labels.ravel(), minlength=len(palette)) / labels.size
    named = zip(prediction['classes'], palette, fractions.tolist(), strict=True)
    uncertainty = 1 - prediction['confidence'] if radius is None else -radius
    answer: dict[str, Any] = dict(
        classes=[dict(name=name, color=color, fraction=share) for name, color, share in named],
        mean_confidence=float(prediction['confidence'].mean()),
        mean_radius=None if radius is None else float(radius.mean()),
        uncertainty_by='confidence' if radius is None else 'radius',
        overlay=_data_url(blend(image[..., ::-1], labels, palette)[..., ::-1]),
        labels=_data_url(labels),
        uncertainty=_data_url(color_radius(uncertainty)[..., ::-1]),
    )
    if 'nodes' in prediction:
        shares = np.bincount(prediction['nodes'].ravel(), minlength=len(prediction['node_names'])) / labels.size
        names = zip(prediction['node_names'], shares.tolist(), strict=True)
        answer['nodes'] = [dict(name=name, fraction=share) for name, share in names if share > 0]
    return answer


def _data_url(image: NDArray[Any]) -> str:
    done, content = cv2.imencode('.png', image)
    if not done:
        raise ValueError('a map could not be encoded as PNG')
    return 'data:image/png;base64,' + base64.b64encode(content.tobytes()).decode()
