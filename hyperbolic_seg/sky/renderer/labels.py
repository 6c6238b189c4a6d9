"""Label ids of rendered images: positions in the vocabulary ``sky.yaml``."""

from enum import IntEnum


class SkyLabel(IntEnum):
    """Label of a pixel of a rendered image."""

    CLEAR_SKY = 0
    CIRRUS = 5
    CIRROCUMULUS = 6
    CIRROSTRATUS = 7
    ALTOCUMULUS = 8
    ALTOSTRATUS = 9
    NIMBOSTRATUS = 10
    STRATOCUMULUS = 11
    STRATUS = 12
    CUMULUS = 13
    CUMULONIMBUS = 14
    CONTRAIL = 15
    SUN = 17
    """Saturated disk of the unobscured sun."""
    OBSTRUCTION = 18
    """Several obstructions, none of which covers half of the pixel."""
    OUTSIDE_THE_LENS = 19
    """Outside the dome of a fisheye image, and the rim of the lens."""
    MOON = 21
    """Lit part of the disk of the moon."""
    BUILDING = 22
    TREE = 23
    TERRAIN = 24
    STRUCTURE = 25
    """Masts, wires and all else that people made or that flies, such as aeroplanes and birds."""
    LENS_FLARE = 26
    """Ghosts, streaks and saturated glare that hide what is behind them."""
    DROP = 27
    """Rain, dew, snow and dirt on the dome or the lens."""
    OVERLAY = 28
    """Text, logos, compass letters and frames drawn into the image."""


CLOUDS = tuple(label for label in SkyLabel if SkyLabel.CIRRUS <= label <= SkyLabel.CONTRAIL)
"""Labels of clouds: the ten genera of the WMO and the contrail."""

FOREGROUND = (SkyLabel.OBSTRUCTION, SkyLabel.BUILDING, SkyLabel.TREE, SkyLabel.TERRAIN, SkyLabel.STRUCTURE)
"""Labels of what stands in front of the sky."""

GENUS_NAMES = tuple(label.name.lower() for label in CLOUDS)
"""Names of the genera and of the contrail, as in the option ``genera``."""

VISIBLE_OPACITY = 0.22
"""Least opacity of a pixel labeled as cloud."""
