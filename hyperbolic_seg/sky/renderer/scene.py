"""Parameters of a rendered image: camera, sun, cloud layers, ground and sensor."""

from dataclasses import dataclass

from hyperbolic_seg.sky.renderer.labels import SkyLabel

CAMERAS = ('planar', 'fisheye')
TIMES = ('day', 'dusk', 'night')
PROJECTIONS = ('equidistant', 'equisolid', 'stereographic', 'orthographic')


@dataclass(frozen=True)
class Camera:
    """Direction and projection of the camera; angles in degrees.

    ``elevation`` and ``roll`` are those of the axis of a planar camera, and ``field_of_view`` spans its wider side. A
    fisheye camera looks straight up: ``field_of_view`` is the angle across the dome, ``dome_radius`` its radius in half
    heights of the image, and ``roll`` rotates the image. The fields below are for a fisheye camera alone.

    Attributes:
        projection: One of :data:`PROJECTIONS`.
        tilt: Angle of the axis from the zenith.
        tilt_azimuth: Azimuth towards which the axis leans.
        east_left: East is on the left if north is up, as for someone looking up.
        center: Column and row of the axis, in half heights of the image from its center.
    """

    kind: str
    elevation: float
    azimuth: float
    field_of_view: float
    roll: float = 0.0
    dome_radius: float = 1.0
    projection: str = 'equidistant'
    tilt: float = 0.0
    tilt_azimuth: float = 0.0
    east_left: bool = False
    center: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Sun:
    """Sun, or moon of a night image; angles in degrees.

    ``glare`` is the strength of the light scattered around it (0 for no moon). ``radius`` is that of the saturated
    disk, which is larger than the sun itself.
    """

    elevation: float
    azimuth: float
    radius: float
    glare: float


@dataclass(frozen=True)
class PointLight:
    """Star or planet; angles in degrees.

    Attributes:
        elevation: Apparent elevation above the horizon.
        azimuth: Azimuth clockwise from north.
        magnitude: Magnitude without the absorption of the air.
    """

    elevation: float
    azimuth: float
    magnitude: float


@dataclass(frozen=True)
class CloudLayer:
    """Cloud layer of one genus.

    Attributes:
        genus: Label of the genus.
        cover: Covered share of the sky, in [0, 1].
        opacity: Opacity of thick parts, in (0, 1].
        cell: Size of the elements, relative to the height of the layer above the camera.
        stretch: Length of the elements relative to their width.
        heading: Direction of their length, in degrees.
        shading: Darkness of thick parts relative to lit ones, in [0, 1].
        roughness: Raggedness of the edges, in [0, 1].
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
    """Obstructions in front of the sky.

    Attributes:
        skyline: ``none``, ``trees``, ``buildings`` or ``hills``.
        height: Typical elevation of the skyline in degrees.
        poles: Number of poles or masts.
    """

    skyline: str
    height: float
    poles: int


@dataclass(frozen=True)
class Sensor:
    """Sensor and optics of the camera.

    Attributes:
        exposure: Factor on the light.
        white_balance: Factors on blue, green and red.
        contrast: Strength of the S curve, 0 for none to 1.
        saturation: Factor on the distance from gray.
        vignetting: Loss of light in the corners, in [0, 1].
        noise: Standard deviation of the noise in gray levels.
        softness: Number of blurs, each twice as wide as the one before.
        jpeg: Coarseness of JPEG compression; 0 for none, 1 for quality 75.
        flare: Strength of the ghost images of the sun in the lens.
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
    """All parameters of an image.

    ``layers`` come from the highest to the lowest. ``turbidity`` goes from about 1.5 (deep blue) to 9 (whitish haze).
    ``city_light`` is the strength of city light in the night sky, in [0, 1]. ``skylight`` is the share of blue sky, as
    opposed to lit clouds and ground, in the light on the shaded parts of clouds. ``points`` are the stars and planets
    of a place and time; a night without them has random stars.
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
    points: tuple[PointLight, ...] = ()
