"""Label ids of the procedural sky: positions in the vocabulary ``sky.yaml``."""

from enum import IntEnum


class SkyLabel(IntEnum):
    """What a pixel of a rendered picture shows."""

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
    """The saturated disk of the sun seen unobscured, or of the moon at night."""
    OBSTRUCTION = 18
    OUTSIDE_THE_LENS = 19
    """Outside the dome of a fisheye picture."""


CLOUDS = tuple(label for label in SkyLabel if SkyLabel.CIRRUS <= label <= SkyLabel.CONTRAIL)
"""Labels of cloud pixels: the ten genera of the WMO and the contrail."""

GENUS_NAMES = tuple(label.name.lower() for label in CLOUDS)
"""Names by which the genera (and ``contrail``) are asked for."""

VISIBLE_OPACITY = 0.22
"""From this opacity on a pixel counts as cloud."""
