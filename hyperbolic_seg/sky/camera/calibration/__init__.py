"""Calibration of a sky camera from its own pictures."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.sky.camera.calibration.bodies import Directions, moon_directions, sun_directions
    from hyperbolic_seg.sky.camera.calibration.clock import (
        Bodies,
        Leeway,
        Reading,
        better_readings,
        bodies_at,
        leeway_of,
        readings_of_axis,
    )
    from hyperbolic_seg.sky.camera.calibration.consensus import Found, search
    from hyperbolic_seg.sky.camera.calibration.disks import Disk, find_disks
    from hyperbolic_seg.sky.camera.calibration.extent import shift_of
    from hyperbolic_seg.sky.camera.calibration.fit import Center, Fit
    from hyperbolic_seg.sky.camera.calibration.mask import Mask, find_mask
    from hyperbolic_seg.sky.camera.calibration.night import Night, orient_by_stars
    from hyperbolic_seg.sky.camera.calibration.orientation import Orientation, Uncertainty, orient
    from hyperbolic_seg.sky.camera.calibration.pictures import Pictures, read_pictures
    from hyperbolic_seg.sky.camera.calibration.points import Point, find_points
    from hyperbolic_seg.sky.camera.calibration.procedure import Agreement, Calibration, Part, calibrate
    from hyperbolic_seg.sky.camera.calibration.report import (
        FILES,
        agreement_words,
        as_record,
        camera_file,
        draw,
        write_calibration,
    )
    from hyperbolic_seg.sky.camera.calibration.sightings import Sightings
    from hyperbolic_seg.sky.camera.calibration.stars import StarField, search_stars, star_field

_NAMES = dict(
    FILES='report',
    Agreement='procedure',
    Bodies='clock',
    Calibration='procedure',
    Center='fit',
    Directions='bodies',
    Disk='disks',
    Fit='fit',
    Found='consensus',
    Leeway='clock',
    Mask='mask',
    Night='night',
    Orientation='orientation',
    Part='procedure',
    Pictures='pictures',
    Point='points',
    Reading='clock',
    Sightings='sightings',
    StarField='stars',
    Uncertainty='orientation',
    agreement_words='report',
    as_record='report',
    better_readings='clock',
    bodies_at='clock',
    calibrate='procedure',
    camera_file='report',
    draw='report',
    find_disks='disks',
    find_mask='mask',
    find_points='points',
    leeway_of='clock',
    moon_directions='bodies',
    orient='orientation',
    orient_by_stars='night',
    read_pictures='pictures',
    readings_of_axis='clock',
    search='consensus',
    search_stars='stars',
    shift_of='extent',
    star_field='stars',
    sun_directions='bodies',
    write_calibration='report',
)
__all__ = [
    'FILES',
    'Agreement',
    'Bodies',
    'Calibration',
    'Center',
    'Directions',
    'Disk',
    'Fit',
    'Found',
    'Leeway',
    'Mask',
    'Night',
    'Orientation',
    'Part',
    'Pictures',
    'Point',
    'Reading',
    'Sightings',
    'StarField',
    'Uncertainty',
    'agreement_words',
    'as_record',
    'better_readings',
    'bodies_at',
    'calibrate',
    'camera_file',
    'draw',
    'find_disks',
    'find_mask',
    'find_points',
    'leeway_of',
    'moon_directions',
    'orient',
    'orient_by_stars',
    'read_pictures',
    'readings_of_axis',
    'search',
    'search_stars',
    'shift_of',
    'star_field',
    'sun_directions',
    'write_calibration',
]
__getattr__ = attach(__name__, _NAMES)
