"""What a picture shows, as plain numbers: camera, light, cloud layers, ground and sensor."""

from dataclasses import dataclass

from hyperbolic_seg.sky.renderer.labels import SkyLabel

CAMERAS = ('planar', 'fisheye')
TIMES = ('day', 'dusk', 'night')


@dataclass(frozen=True)
class Camera:
    """Where the camera looks; angles in degrees.

    ``elevation`` and ``roll`` are those of a planar camera's axis, ``field_of_view`` spans its
    wider side. A fisheye looks straight up; its ``field_of_view`` is the angle across the dome,
    ``dome_radius`` the dome's radius in half heights and ``roll`` turns the picture.
    """

    kind: str
    elevation: float
    azimuth: float
    field_of_view: float
    roll: float = 0.0
    dome_radius: float = 1.0


@dataclass(frozen=True)
class Sun:
    """The sun, or the moon of a night picture; angles in degrees.

    ``glare`` is the strength of the light scattered close to it (0 for no moon) and ``radius`` that
    of the saturated disk, which is larger than the sun itself.
    """

    elevation: float
    azimuth: float
    radius: float
    glare: float


@dataclass(frozen=True)
class CloudLayer:
    """One layer of one genus.

    Attributes:
        genus: Its label.
        cover: Part of the sky it covers, in [0, 1].
        opacity: Opacity of its thick parts, in (0, 1].
        cell: Size of its elements in heights of the layer above the camera.
        stretch: How much longer than wide the elements are.
        heading: Direction they are drawn out along, in degrees.
        shading: How much darker than its lit parts the thick parts are, in [0, 1].
        roughness: How ragged the edges are, in [0, 1].
    """

    genus: SkyLabel
    cover: float
    opacity: float
    cell: float
    stretch: float
    heading: float
    shading: float
    roughness: float


@dataclass(frozen=True)
class Ground:
    """What stands in front of the sky.

    Attributes:
        skyline: ``none``, ``trees``, ``buildings`` or ``hills``.
        height: Typical height of the skyline in degrees.
        poles: Number of poles or masts.
    """

    skyline: str
    height: float
    poles: int


@dataclass(frozen=True)
class Sensor:
    """How the camera turns light into a picture.

    Attributes:
        exposure: Factor on the light.
        white_balance: Factors on blue, green and red.
        contrast: 0 for a plain gamma, 1 for a strong S curve.
        saturation: Factor on colourfulness.
        vignetting: Loss of light in the corners, in [0, 1].
        noise: Deviation of the noise in grey levels.
        softness: Number of blurs, each twice as wide as the one before; 0 for sharp.
        jpeg: Coarseness of block coding, 0 for none, about 1 for quality 75.
        flare: Strength of the lens's ghost images of the sun.
    """

    exposure: float
    white_balance: tuple[float, float, float]
    contrast: float
    saturation: float
    vignetting: float
    noise: float
    softness: int
    jpeg: float
    flare: float


@dataclass(frozen=True)
class SkyScene:
    """All sampled parameters of a picture; ``layers`` from the highest to the lowest.

    ``turbidity`` goes from about 1.5 (deep blue) to 9 (whitish haze); ``city_light`` is the
    strength of the light that a city throws on the night sky, in [0, 1], and ``skylight`` the share
    of the blue sky, as opposed to lit clouds and ground, in what lights the shaded parts of clouds.
    """

    camera: Camera
    time: str
    sun: Sun
    turbidity: float
    city_light: float
    skylight: float
    layers: tuple[CloudLayer, ...]
    ground: Ground
    sensor: Sensor
