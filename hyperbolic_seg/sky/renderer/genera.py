"""Styles of the genera: the shape that draws each, and the ranges of its parameters."""

from dataclasses import dataclass

from hyperbolic_seg.sky.renderer.labels import SkyLabel

Range = tuple[float, float]


@dataclass(frozen=True)
class Style:
    """Look of a genus; ranges are those of :class:`CloudLayer`.

    ``level`` is 0 for high, 1 for middle and 2 for low clouds. ``altitude`` orders layers. ``translucency`` is the
    share of the glow of the sun that passes the thickest parts. ``gloom`` darkens shadows relative to other genera of
    the level. ``diffusing`` is True if the genus blurs the disk of the sun.
    """

    shape: str
    level: int
    altitude: int
    cover: Range
    opacity: Range
    cell: Range
    stretch: Range
    shading: Range
    roughness: Range
    translucency: float
    gloom: float = 0.0
    diffusing: bool = False


STYLES: dict[SkyLabel, Style] = {
    SkyLabel.CONTRAIL: Style(
        shape='contrail',
        level=0,
        altitude=10,
        cover=(0.0, 0.9),
        opacity=(0.6, 0.95),
        cell=(0.012, 0.03),
        stretch=(1, 1),
        shading=(0, 0),
        roughness=(0.5, 1),
        translucency=0.5,
    ),
    SkyLabel.CIRRUS: Style(
        shape='fibrous',
        level=0,
        altitude=9,
        cover=(0.3, 0.75),
        opacity=(0.55, 0.95),
        cell=(0.4, 1.0),
        stretch=(5, 12),
        shading=(0, 0.1),
        roughness=(0.2, 0.8),
        translucency=0.5,
    ),
    SkyLabel.CIRROCUMULUS: Style(
        shape='granular',
        level=0,
        altitude=8,
        cover=(0.35, 0.6),
        opacity=(0.55, 0.85),
        cell=(0.013, 0.021),
        stretch=(1, 1.7),
        shading=(0, 0.05),
        roughness=(0.15, 0.4),
        translucency=0.5,
    ),
    SkyLabel.CIRROSTRATUS: Style(
        shape='veil',
        level=0,
        altitude=7,
        cover=(0.45, 1.3),
        opacity=(0.28, 0.58),
        cell=(0.8, 2.0),
        stretch=(1.5, 6),
        shading=(0.0, 0.12),
        roughness=(0.4, 1.0),
        translucency=0.5,
    ),
    SkyLabel.ALTOCUMULUS: Style(
        shape='granular',
        level=1,
        altitude=6,
        cover=(0.4, 0.8),
        opacity=(0.8, 1.0),
        cell=(0.06, 0.13),
        stretch=(1, 1.7),
        shading=(0.4, 1.0),
        roughness=(0.5, 1.1),
        translucency=0.4,
    ),
    SkyLabel.ALTOSTRATUS: Style(
        shape='veil',
        level=1,
        altitude=5,
        cover=(0.65, 1.4),
        opacity=(0.88, 0.98),
        cell=(0.8, 2.0),
        stretch=(1.5, 5),
        shading=(0.3, 0.65),
        roughness=(0.3, 0.8),
        translucency=0.5,
        diffusing=True,
    ),
    SkyLabel.NIMBOSTRATUS: Style(
        shape='rain',
        level=1,
        altitude=4,
        cover=(1.3, 1.3),
        opacity=(1.0, 1.0),
        cell=(0.6, 1.5),
        stretch=(1, 2),
        shading=(0.85, 1.1),
        roughness=(0.3, 0.9),
        translucency=0.0,
        gloom=0.15,
        diffusing=True,
    ),
    SkyLabel.STRATOCUMULUS: Style(
        shape='granular',
        level=2,
        altitude=3,
        cover=(0.4, 0.95),
        opacity=(0.95, 1.0),
        cell=(0.24, 0.5),
        stretch=(1, 2.2),
        shading=(0.5, 1.1),
        roughness=(0.8, 1.4),
        translucency=0.2,
    ),
    SkyLabel.STRATUS: Style(
        shape='fog',
        level=2,
        altitude=1,
        cover=(0.6, 1.4),
        opacity=(0.94, 1.0),
        cell=(0.5, 1.6),
        stretch=(1, 3),
        shading=(0.5, 0.85),
        roughness=(0.1, 0.5),
        translucency=0.12,
    ),
    SkyLabel.CUMULUS: Style(
        shape='cumulus',
        level=2,
        altitude=2,
        cover=(0.25, 0.55),
        opacity=(0.97, 1.0),
        cell=(0.5, 1.3),
        stretch=(1, 1),
        shading=(0.4, 1.2),
        roughness=(0.2, 1.0),
        translucency=0.25,
    ),
    SkyLabel.CUMULONIMBUS: Style(
        shape='cumulonimbus',
        level=2,
        altitude=0,
        cover=(0.3, 0.9),
        opacity=(1.0, 1.0),
        cell=(0.12, 0.3),
        stretch=(1, 1),
        shading=(0.75, 1.0),
        roughness=(0.3, 0.8),
        translucency=0.05,
        gloom=0.4,
    ),
}
