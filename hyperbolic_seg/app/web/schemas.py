"""What the REST interface takes and gives, as OpenAPI describes it."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, create_model

from hyperbolic_seg.app.web.limits import Limits

Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
PNG = 'PNG in a data URL'
QUALITIES = 'ok, doubtful or refused; without a camera only if a prompt is in the sky'


class Problem(BaseModel):
    """An error."""

    detail: str


class ModelInfo(BaseModel):
    """The prompts of the model, the settings and the limits of the server."""

    version: str
    prompts: list[str] = Field(description='Prompts of a request that has none')
    threshold: float | None = Field(description='Threshold of a request that has none')
    camera: bool = Field(description='Uploads are observed as pictures of a sky camera')
    watched: bool = Field(description='There is a folder of hyperbolic-seg watch at /api/watched')
    examples: list[str]
    reasons: dict[str, str] = Field(description='What the reasons of a quality mean, by name')
    limits: dict[str, float]


class StoredImage(BaseModel):
    """An image in the memory of the server."""

    id: str
    name: str = Field(description='Name of the file, as far as it is safe to show, or of the example')
    width: int
    height: int
    image: str = Field(description=f'The image, reduced for the screen, {PNG}')


class Share(BaseModel):
    """The share of an image that a class covers."""

    name: str
    fraction: float


class ClassShare(Share):
    """The share of a prompt, with its color in the overlay."""

    color: tuple[int, int, int]


class Open(BaseModel):
    """A part of a record, which may have more than is described."""

    model_config = ConfigDict(extra='allow')


class Cover(Open):
    """Cover of the visible sky."""

    fraction: float = Field(description='Share of the sky, by solid angle')
    low: float = Field(description='Lower end of the interval')
    high: float = Field(description='Upper end of the interval')
    oktas: int = Field(description='Eighths of the sky')


class Interval(Open):
    """What the interval of the cover by all clouds is."""

    kind: str = Field(
        description='model: without a guarantee; calibrated; or outside, where its guarantee does not hold'
    )
    confidence: float = Field(description='Share of pictures whose true cover it is meant to hold')
    days: int | None = Field(description='Days of the calibration; null without one')
    outside: list[str] = Field(description='Why the guarantee of the calibration does not hold')
    model: tuple[float, float] = Field(description='Both ends by the model itself')


class Appearance(Open):
    """What tells whether a picture is like those of a calibration."""

    brightness: float = Field(description='Mean level of what counts, 0 to 1')
    blueness: float = Field(description='Difference of mean blue and mean red over their sum, -1 to 1')


class Direction(Open):
    """Apparent direction of the sun or the moon in degrees."""

    elevation: float = Field(description='Above the horizon')
    azimuth: float = Field(description='Clockwise from north')
    phase: str | None = Field(None, description='Of the sun: day, dusk or night')
    illumination: float | None = Field(None, description='Of the moon: share of the disk that is lit')


class Place(Open):
    """A place on Earth."""

    latitude: float = Field(description='Degrees north')
    longitude: float = Field(description='Degrees east')
    altitude: float = Field(description='Meters')


class ModelName(Open):
    """The model of a prediction."""

    name: str | None
    sha256: str | None = Field(description='Digest of the file of its weights')


class Observed(Open):
    """What a record has with a camera, or if a prompt is in the sky."""

    time: str | None = Field(None, description='ISO 8601 with a time zone')
    time_source: str | None = Field(None, description='What the time is from: name, file, or a tag of EXIF')
    place: Place | None = Field(None, description='Where the camera is, if that is known')
    sun: Direction | None = None
    moon: Direction | None = None
    quality: str | None = Field(None, description=QUALITIES)
    quality_reasons: list[str] = Field([], description='Names; /api/model has their meaning')
    cloud: Cover | None = Field(None, description='Cover by all clouds')
    interval: Interval | None = Field(None, description='What the interval of the cover by all clouds is')
    cover: dict[str, Cover] = Field({}, description='Cover by prompt')
    regions: dict[str, Cover | None] = Field({}, description='Cover of parts of the sky by all clouds')
    appearance: Appearance | None = Field(None, description='Of the picture, with a camera')
    notes: list[str] = Field([], description='How prompts were counted, and which are not known')
    model: ModelName | None = Field(None, description='With a camera, the model')


class Record(Observed):
    """The record of ``hyperbolic-seg predict --json``, without ``files``. What an image has not is left out."""

    image: str = Field(description='Name of the image')
    width: int
    height: int
    fractions: dict[str, float] = Field({}, description='Share of the pixels by prompt')
    sure: dict[str, float] = Field({}, description='With a threshold, share of the pixels by node of the taxonomy')
    mean_confidence: float = Field(0.0, description='Mean probability of the labels')


class Position(BaseModel):
    """A position in pixels of the image; (0, 0) is the center of the first one."""

    x: float
    y: float


class Marks(BaseModel):
    """What a camera adds to the picture on the screen."""

    sun: Position | None = Field(description='The sun, if it is up and inside the image')
    moon: Position | None = Field(description='The moon, if it is up and inside the image')
    hidden: str | None = Field(description=f'Dark where pixels do not count, transparent elsewhere, {PNG}')


class Segmentation(BaseModel):
    """The segmentation of an image. One that is refused has its record and no maps."""

    record: Record
    classes: list[ClassShare] = Field(description='Shares of the pixels; empty for a refused image')
    mean_confidence: float | None = None
    overlay: str | None = Field(None, description=PNG)
    labels: str | None = Field(None, description=f'Indices of the prompts, {PNG}')
    uncertainty: str | None = Field(None, description=f'Bright where the probability of the label is small, {PNG}')
    nodes: list[Share] | None = None
    marks: Marks | None = Field(None, description='For an upload, if the server has a camera')


class WatchedRecord(Observed):
    """The record of a watched image, without paths."""

    name: str = Field(description='Name below the watched folder')
    fractions: dict[str, float] = Field({}, description='Share of the pixels by prompt')


class WatchedNow(BaseModel):
    """The latest image of a watched folder."""

    latest: WatchedRecord | None = Field(description='The image with the latest time; null if there is none yet')
    age_seconds: float | None = Field(description='Age of the latest image')
    age_from: str | None = Field(description='What the age is from: time (of the image), or file (its last change)')
    old_after_seconds: float = Field(description='Age from which an image is old')
    ahead: int = Field(description='Images whose time is in the future, which are left out')
    error: str | None = Field(description='Why the last image could not be read or predicted; null if it could')
    days: int = Field(description='Days that have images')
    last_day: str | None = Field(description='The last of them, such as 2024-06-21')


class Point(BaseModel):
    """One image in the course of a day."""

    time: str = Field(description='ISO 8601 with a time zone')
    hour: float = Field(description='Hours since the day began')
    quality: str | None
    quality_reasons: list[str]
    cloud: Cover | None = Field(description='Cover by all clouds; null for a refused image')


class WatchedDay(BaseModel):
    """The images of a day, in the time zone of the records. Of several in a minute the last one stands here."""

    day: str
    previous: str | None = Field(description='The last day before it that has images')
    next: str | None = Field(description='The first day after it that has images')
    images: int = Field(description='Images of the day, before the last of each minute is taken')
    points: list[Point]


def question(limits: Limits) -> type[BaseModel]:
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
    deepest = (
        'Also name the deepest node of the taxonomy with at least this probability; null for none; '
        'default: that which the server was started with'
    )
    about = 'Prompts, with synonyms after semicolons; default: those that the server was started with'
    fields: dict[str, Any] = dict(
        prompts=(prompts | None, Field(None, description=about)),
        threshold=(float | None, Field(None, strict=True, gt=0.5, le=1, description=deepest)),
    )
    config = ConfigDict(extra='forbid', allow_inf_nan=False)
    return create_model('Question', __config__=config, __doc__='A question about an image.', **fields)


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


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of the errors of a path: these, and those of any path."""
    found = sorted({400, 500, 503, *statuses})
    return {status: dict(model=Problem, description=PROBLEMS[status]) for status in found}
