"""Parameters of a rendered image: camera, sun, cloud layers, ground, sensor, and what is in the way of the light."""

from dataclasses import dataclass, replace

from hyperbolic_seg.sky.renderer.labels import SkyLabel

CAMERAS = ('planar', 'fisheye')
TIMES = ('day', 'dusk', 'night')
SKYLINES = ('none', 'hills', 'trees', 'buildings', 'street', 'near')
FLYERS = ('aeroplane', 'bird')
DROPS = ('rain', 'dew', 'snow', 'dirt')
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
    """Sun or moon; angles in degrees.

    Attributes:
        radius: Radius of the saturated disk, which is larger than the sun itself.
        glare: Strength of the light scattered around it; 0 for no moon.
        lit: Illuminated share of the disk of a moon, in [0, 1].
        limb: Direction of its lit side, from up towards the right.
    """

    elevation: float
    azimuth: float
    radius: float
    glare: float
    lit: float = 1.0
    limb: float = 0.0


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
    """

    exposure: float
    white_balance: tuple[float, float, float]
    contrast: float
    saturation: float
    vignetting: float
    noise: float
    softness: int
    jpeg: float


@dataclass(frozen=True)
class Flare:
    """Light of the sun or moon that strays in the lens and on the dome; strengths of 0 for none.

    Attributes:
        bloom: Overflow of the saturated disk.
        star: Strength of the diffraction star of the iris.
        blades: Blades of the iris: an even number gives as many rays, an odd one twice as many.
        turn: Direction of the first ray, in degrees.
        smear: Strength of the bundle of streaks through the sun, from scratches and wiping of the dome.
        smear_turn: Direction of the bundle, in degrees.
        ghosts: Strength of the mirror images of the sun in the lens.
        glitter: Strength of the dust that sparkles around the sun.
    """

    bloom: float = 0.0
    star: float = 0.0
    blades: int = 6
    turn: float = 0.0
    smear: float = 0.0
    smear_turn: float = 0.0
    ghosts: float = 0.0
    glitter: float = 0.0


@dataclass(frozen=True)
class Night:
    """Lights of the night sky other than the moon; angles in degrees, strengths of 0 for none.

    Attributes:
        stars: Number of stars in the image.
        milky_way: Strength of the Milky Way.
        pole: Azimuth and elevation of the pole of its plane.
        town: Strength of the glow of a town at the horizon.
        town_azimuth: Direction of the town.
        warmth: Color of its lamps, from 0 (white) to 1 (orange).
        satellites: Number of trails of satellites.
    """

    stars: int = 0
    milky_way: float = 0.0
    pole: tuple[float, float] = (0.0, 0.0)
    town: float = 0.0
    town_azimuth: float = 0.0
    warmth: float = 0.5
    satellites: int = 0


@dataclass(frozen=True)
class Flyer:
    """Aeroplane or bird in front of the sky.

    Attributes:
        kind: One of :data:`FLYERS`.
        column: Position in the image, in [-1, 1] along the wider side.
        row: The same, downward.
        span: Wingspan, in the unit of the position.
        heading: Direction in the image, in degrees.
        pose: Position of the wings or share of the light, in [0, 1].
    """

    kind: str
    column: float
    row: float
    span: float
    heading: float
    pose: float


@dataclass(frozen=True)
class Drops:
    """Water, snow or dirt on the dome or the lens.

    Attributes:
        kind: One of :data:`DROPS`.
        count: Number of drops or spots.
        size: Typical radius in half widths of the image; of snow, the size of its patches.
        strength: Share of what is behind that they hide, in [0, 1]; of snow, the covered share.
        sharpness: Sharpness of their edges, from 1 (out of focus) to 8.
    """

    kind: str
    count: int
    size: float
    strength: float
    sharpness: float


@dataclass(frozen=True)
class Text:
    """Text in an image.

    Attributes:
        text: What is written, in ASCII.
        column: Left end, as a share of the width.
        row: Foot of the letters, as a share of the height.
        height: Height of capital letters, as a share of the shorter side.
        color: Blue, green and red in [0, 255].
        ground: Color of the rectangle behind it; ``None`` for an outline that contrasts with the letters.
        font: Number of a Hershey font of OpenCV.
    """

    text: str
    column: float
    row: float
    height: float
    color: tuple[int, int, int]
    ground: tuple[int, int, int] | None = None
    font: int = 0


@dataclass(frozen=True)
class Overlay:
    """What the program of a camera draws into its images.

    Attributes:
        texts: Texts, such as date, name of the camera and exposure.
        compass: Elevation in degrees of the letters N, E, S and W in a fisheye image; ``None`` for no letters.
        logo: Corner of a logo, as column and row in {0, 1}; ``None`` for no logo.
        bars: Heights of the black bars at the top and the foot, as shares of the height.
        frame: Width of the frame around the image, as a share of the shorter side.
    """

    texts: tuple[Text, ...] = ()
    compass: float | None = None
    logo: tuple[int, int] | None = None
    bars: tuple[float, float] = (0.0, 0.0)
    frame: float = 0.0


@dataclass(frozen=True)
class SkyScene:
    """All parameters of an image.

    ``layers`` come from the highest to the lowest. ``turbidity`` goes from about 1.5 (deep blue) to 9 (whitish haze).
    ``city_light`` is the strength of city light in the night sky, in [0, 1]. ``skylight`` is the share of blue sky, as
    opposed to lit clouds and ground, in the light on the shaded parts of clouds. By night ``sun`` is the moon, and
    ``moon`` is the pale moon of a day, if there is one. ``halo`` is the strength of the ring 22 degrees from the sun in
    cirrostratus. ``points`` are the stars and planets of a place and time; a night without them has random stars.
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
    moon: Sun | None = None
    halo: float = 0.0
    flare: Flare = Flare()
    night: Night = Night()
    flyers: tuple[Flyer, ...] = ()
    drops: Drops | None = None
    overlay: Overlay = Overlay()
    points: tuple[PointLight, ...] = ()

    def plain(self) -> 'SkyScene':
        """Return the scene without what only some images have, such as stray light, flyers, drops and overlays."""
        stars = Night(stars=self.night.stars)
        clean = replace(self, moon=None, halo=0.0, flare=Flare(), night=stars)
        return replace(clean, flyers=(), drops=None, overlay=Overlay())
