"""Sky cameras: lens, dome, sun, moon, cover of the sky in oktas, and time series."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.sky.camera.coverage import Cover, cover
    from hyperbolic_seg.sky.camera.dome import Dome, find_dome
    from hyperbolic_seg.sky.camera.examination import Examination, examine
    from hyperbolic_seg.sky.camera.exif import Exif, exif_in, exif_of
    from hyperbolic_seg.sky.camera.kinds import Kind, kind_of, speaks_of_sky
    from hyperbolic_seg.sky.camera.lens import PROJECTIONS, Lens
    from hyperbolic_seg.sky.camera.moon import Moon, moon_at
    from hyperbolic_seg.sky.camera.observation import Observation, as_record, observe
    from hyperbolic_seg.sky.camera.quality import QUALITIES, REASONS, Quality, Repeats, quality_of
    from hyperbolic_seg.sky.camera.regions import Region
    from hyperbolic_seg.sky.camera.series import Series
    from hyperbolic_seg.sky.camera.sky_camera import SkyCamera, Taken, View
    from hyperbolic_seg.sky.camera.sun import Place, Sun, sun_at
    from hyperbolic_seg.sky.camera.time_names import TimePattern

__all__ = [
    'PROJECTIONS',
    'QUALITIES',
    'REASONS',
    'Cover',
    'Dome',
    'Examination',
    'Exif',
    'Kind',
    'Lens',
    'Moon',
    'Observation',
    'Place',
    'Quality',
    'Region',
    'Repeats',
    'Series',
    'SkyCamera',
    'Sun',
    'Taken',
    'TimePattern',
    'View',
    'as_record',
    'cover',
    'examine',
    'exif_in',
    'exif_of',
    'find_dome',
    'kind_of',
    'moon_at',
    'observe',
    'quality_of',
    'speaks_of_sky',
    'sun_at',
]
__getattr__ = attach(
    __name__,
    dict(
        PROJECTIONS='lens',
        QUALITIES='quality',
        REASONS='quality',
        Cover='coverage',
        Dome='dome',
        Examination='examination',
        Exif='exif',
        Kind='kinds',
        Lens='lens',
        Moon='moon',
        Observation='observation',
        Place='sun',
        Quality='quality',
        Region='regions',
        Repeats='quality',
        Series='series',
        SkyCamera='sky_camera',
        Sun='sun',
        Taken='sky_camera',
        TimePattern='time_names',
        View='sky_camera',
        as_record='observation',
        cover='coverage',
        examine='examination',
        exif_in='exif',
        exif_of='exif',
        find_dome='dome',
        kind_of='kinds',
        moon_at='moon',
        observe='observation',
        quality_of='quality',
        speaks_of_sky='kinds',
        sun_at='sun',
    ),
)
