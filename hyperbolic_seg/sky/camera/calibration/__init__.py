"""Calibration of a sky camera from its own pictures."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.sky.camera.calibration.bodies import Directions, moon_directions, sun_directions
    from hyperbolic_seg.sky.camera.calibration.clock import Bodies, Reading, better_readings, bodies_at
    from hyperbolic_seg.sky.camera.calibration.consensus import Found, search
    from hyperbolic_seg.sky.camera.calibration.disks import Disk, find_disks
    from hyperbolic_seg.sky.camera.calibration.fit import Center, Fit
    from hyperbolic_seg.sky.camera.calibration.mask import Mask, find_mask
    from hyperbolic_seg.sky.camera.calibration.orientation import Orientation, Uncertainty, orient
    from hyperbolic_seg.sky.camera.calibration.pictures import Pictures, read_pictures
    from hyperbolic_seg.sky.camera.calibration.procedure import Calibration, Part, calibrate
    from hyperbolic_seg.sky.camera.calibration.report import FILES, as_record, camera_file, draw, write_calibration
    from hyperbolic_seg.sky.camera.calibration.sightings import Sightings

_NAMES = dict(
    FILES='report',
    Bodies='clock',
    Calibration='procedure',
    Center='fit',
    Directions='bodies',
    Disk='disks',
    Fit='fit',
    Found='consensus',
    Mask='mask',
    Orientation='orientation',
    Part='procedure',
    Pictures='pictures',
    Reading='clock',
    Sightings='sightings',
    Uncertainty='orientation',
    as_record='report',
    better_readings='clock',
    bodies_at='clock',
    calibrate='procedure',
    camera_file='report',
    draw='report',
    find_disks='disks',
    find_mask='mask',
    moon_directions='bodies',
    orient='orientation',
    read_pictures='pictures',
    search='consensus',
    sun_directions='bodies',
    write_calibration='report',
)
__all__ = [
    'FILES',
    'Bodies',
    'Calibration',
    'Center',
    'Directions',
    'Disk',
    'Fit',
    'Found',
    'Mask',
    'Orientation',
    'Part',
    'Pictures',
    'Reading',
    'Sightings',
    'Uncertainty',
    'as_record',
    'better_readings',
    'bodies_at',
    'calibrate',
    'camera_file',
    'draw',
    'find_disks',
    'find_mask',
    'moon_directions',
    'orient',
    'read_pictures',
    'search',
    'sun_directions',
    'write_calibration',
]
__getattr__ = attach(__name__, _NAMES)
