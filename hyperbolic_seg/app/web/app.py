"""The web application: a REST interface with an OpenAPI description, and a page that uses it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import numpy as np
from fastapi import FastAPI, HTTPException, Request
from fastapi import Path as PathParameter
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.middleware.trustedhost import TrustedHostMiddleware

from hyperbolic_seg.apis import HyperSegInferencer, is_local
from hyperbolic_seg.app.batch import predict_image
from hyperbolic_seg.app.web import schemas
from hyperbolic_seg.app.web.answers import answer, check_memory, data_url
from hyperbolic_seg.app.web.decoder import Decoder
from hyperbolic_seg.app.web.guards import (
    SECURITY_HEADERS,
    BodyLimit,
    RequestLimit,
    SameOrigin,
    SecurityHeaders,
    client_of,
)
from hyperbolic_seg.app.web.image_store import ImageStore, Pixels, StoredImage, clean_name
from hyperbolic_seg.app.web.journal_days import JournalDays
from hyperbolic_seg.app.web.limits import Gate, Limits
from hyperbolic_seg.app.web.watched import add_watched
from hyperbolic_seg.files import reason_of
from hyperbolic_seg.images import image_within
from hyperbolic_seg.models import HyperCLIPSegmentor
from hyperbolic_seg.models.segmentors import FeatureCache
from hyperbolic_seg.sky.camera import REASONS, Exif, FitsHeader, SkyCamera
from hyperbolic_seg.sky.renderer import render_sky
from hyperbolic_seg.text import Vocabulary
from hyperbolic_seg.version import __version__

EXAMPLES = {'cumulus': 10, 'altocumulus': 3, 'fisheye': 9, 'dusk': 11}
"""Seeds of the procedural sky."""

PAGES = {
    '': 'index.html',
    'page.js': 'page.js',
    'dom.js': 'dom.js',
    'sky.js': 'sky.js',
    'watched.js': 'watched.js',
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


def _stores(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the responses of a path that stores an image, with a link from its id to the segmentation."""
    link = dict(operationId='segment', parameters=dict(id='$response.body#/id'))
    return {**schemas.problems(*statuses), 201: dict(description='The image is stored', links=dict(segment=link))}


class PredictionError(Exception):
    """A prediction failed, for no fault of the request."""


def create_app(
    inferencer: HyperSegInferencer,
    *,
    limits: Limits | None = None,
    hosts: tuple[str, ...] = ('127.0.0.1', 'localhost'),
    camera: SkyCamera | None = None,
    threshold: float | None = None,
    watched: JournalDays | None = None,
) -> FastAPI:
    """Make the web application of a model.

    Args:
        inferencer: The model.
        limits: Limits of the server.
        hosts: Names under which requests may call this server. Others are refused, so that no foreign page can make a
            browser talk to it under a name of that page. ``('*',)`` allows all.
        camera: The camera that took the uploads. Rendered examples are segmented without it.
        threshold: Threshold of requests that name none.
        watched: Journal of ``hyperbolic-seg watch``, which is only read.
    """
    limits = limits or Limits()
    store = ImageStore(
        limits.images_per_client,
        limits.images,
        bytes_per_client=limits.image_bytes_per_client,
        bytes_in_all=limits.image_bytes,
    )
    turn, names = Lock(), inferencer.classes
    decoder = Decoder(
        workers=limits.decoders,
        seconds=limits.decode_seconds,
        memory=limits.decode_bytes,
        levels=None if camera is None else camera.levels,
    )
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

    def store_image(
        request: Request, pixels: Pixels, name: str, exif: Exif | FitsHeader | None = None
    ) -> schemas.StoredImage:
        image = StoredImage(pixels, image_within(pixels, limits.side), name, exif)
        height, width = pixels.shape[:2]
        id = store.add(client_of(request.scope), image)
        return schemas.StoredImage(id=id, name=name, width=width, height=height, image=data_url(image.preview))

    @app.get('/api/model', summary='Prompts of the model, settings and limits', responses=schemas.problems())
    async def model() -> schemas.ModelInfo:
        return schemas.ModelInfo(
            version=__version__,
            prompts=names,
            threshold=threshold,
            camera=camera is not None,
            watched=watched is not None,
            examples=[*EXAMPLES],
            reasons={name: meaning for name, (_, meaning) in REASONS.items()},
            limits=vars(limits),
        )

    @app.post(
        '/api/images',
        summary='Upload an image',
        status_code=201,
        responses=_stores(403, 408, 411, 413, 422),
        openapi_extra=dict(requestBody=UPLOAD_FORM),
    )
    async def upload(request: Request) -> schemas.StoredImage:
        with uploading.enter():  # the form is parsed by the decoder, in its own process
            form = request.headers.get('content-type', ''), await request.body()
            found = await run_in_threadpool(decoder, *form, max_pixels=limits.pixels)
            return await run_in_threadpool(store_image, request, found.image, clean_name(found.name), found.exif)

    @app.post(
        '/api/examples/{name}',
        summary='Render an example of the procedural sky',
        status_code=201,
        responses=_stores(403, 404, 408, 411, 413, 422),
    )
    def example(request: Request, name: Example) -> schemas.StoredImage:
        if name not in EXAMPLES:
            raise HTTPException(404, f'no such example; there are {", ".join(EXAMPLES)}')
        with rendering.enter():
            return store_image(request, _rendered(EXAMPLES[name], min(384, limits.side)), name)

    @app.post(
        '/api/images/{id}/segmentation',
        summary='Segment an image by prompts',
        operation_id='segment',
        response_model_exclude_unset=True,  # a record has the keys of its image, and no others
        responses=schemas.problems(403, 404, 408, 411, 413, 422),
    )
    def segment(id: Id, question: schemas.question(limits)) -> schemas.Segmentation:  # type: ignore[valid-type]
        image = store.get(id)
        if image is None:
            raise HTTPException(404, 'no image has this id: upload it again')
        own_camera = None if image.exif is None else camera
        sure = question.threshold if 'threshold' in question.model_fields_set else threshold
        with predicting.enter(), turn:
            inferencer.set_prompts(default if question.prompts is None else question.prompts)
            if not is_local(inferencer.model):  # else a large image is predicted some rows at a time
                prompts, with_camera = len(inferencer.classes), own_camera is not None
                check_memory(image.pixels, prompts, camera=with_camera, most=limits.predict_bytes)
            options: dict[str, Any] = dict(threshold=sure, camera=own_camera, exif=image.exif or Exif({}, {}))
            try:
                found = predict_image(inferencer, image.pixels, image.name, **options)
            except RuntimeError as error:  # the server lacks nothing, as it does where prompts cannot be encoded
                raise PredictionError from error
        return schemas.Segmentation(**answer(image, found, own_camera))

    if watched is not None:
        add_watched(app, watched)

    @app.get('/{name}', include_in_schema=False)
    async def page(name: str = '') -> Response:
        if name not in contents:
            raise HTTPException(404, 'no such page')
        headers = {'Content-Security-Policy': PAGE_POLICY, 'Cache-Control': 'no-cache'}
        return Response(contents[name], media_type=MEDIA_TYPES[Path(PAGES[name]).suffix], headers=headers)

    app.get('/', include_in_schema=False)(page)
    return app


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
        return _refusal(422, reason_of(error))

    @app.exception_handler(RuntimeError)
    @app.exception_handler(ImportError)
    def lack(request: Request, error: Exception) -> JSONResponse:
        """Name what the server lacks, such as a text encoder for new prompts."""
        return _refusal(503, reason_of(error))

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
def _rendered(seed: int, size: int) -> Pixels:
    return np.ascontiguousarray(render_sky(seed, size).image[..., ::-1])
