"""Parameters of a rendered image: camera, sun, cloud layers, ground and sensor."""

from dataclasses import dataclass

from hyperbolic_seg.sky.renderer.labels import SkyLabel

CAMERAS = ('planar', 'fisheye')
TIMES = ('day', 'dusk', 'night')
SKYLINES = ('none', 'hills', 'trees', 'buildings', 'street', 'near')
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
        rim: Width of the ring inside the border of the dome, as a share of its radius.
        rim_light: Brightness of the ring relative to that of the sky.
        surround: Gray level outside of the dome.
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
    rim: float = 0.0
    rim_light: float = 0.0
    surround: int = 0


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
        skyline: One of :data:`SKYLINES`: nothing, far hills, woods, houses, a street between high houses, or something
            high close by.
        height: Typical elevation of the skyline in degrees; that of the highest thing of a street or close by.
        poles: Number of masts, lamps, antennas, cranes and wires.
        snow: Snow lies on the ground, on roofs and on mountains.
        bare: Broad-leaved trees have lost their leaves.
        light: Factor on the light on it, for cameras that see shade brighter or darker than the eye.
    """

    skyline: str
    height: float
    poles: int
    snow: bool = False
    bare: bool = False
    light: float = 1.0


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
    opposed to lit clouds and ground, in the light on the shaded parts of clouds.
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
