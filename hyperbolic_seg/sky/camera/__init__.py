"""Sky cameras: lens, dome, sun, moon, cover of the sky in oktas, time series, and whether the sky is safe."""

from typing import TYPE_CHECKING

from hyperbolic_seg.lazy import attach

if TYPE_CHECKING:
    from hyperbolic_seg.sky.camera.about import ATTRIBUTES
    from hyperbolic_seg.sky.camera.conformal import Ends, day_weights, least_days, quantile_over_days
    from hyperbolic_seg.sky.camera.cover_calibration import (
        FEATURES,
        INTERVALS,
        CoverCalibration,
        appearance,
        ends_of,
        with_interval,
    )
    from hyperbolic_seg.sky.camera.coverage import Cover, cover
    from hyperbolic_seg.sky.camera.dome import Dome, find_dome
    from hyperbolic_seg.sky.camera.evidence import DOUBTS, Evidence, Moment
    from hyperbolic_seg.sky.camera.examination import Examination, examine
    from hyperbolic_seg.sky.camera.exif import Exif, exif_in, exif_of
    from hyperbolic_seg.sky.camera.fits_header import FitsHeader, fits_header_in
    from hyperbolic_seg.sky.camera.keogram import check_keogram, draw_keogram, meridian, runs_of
    from hyperbolic_seg.sky.camera.kinds import Kind, kind_of, speaks_of_sky
    from hyperbolic_seg.sky.camera.lens import PROJECTIONS, Lens
    from hyperbolic_seg.sky.camera.moon import Moon, moon_at
    from hyperbolic_seg.sky.camera.night import NightSky, night_sky
    from hyperbolic_seg.sky.camera.observation import Observation, as_record, observe
    from hyperbolic_seg.sky.camera.plots import plot_day
    from hyperbolic_seg.sky.camera.quality import QUALITIES, REASONS, Quality, Repeats, quality_of
    from hyperbolic_seg.sky.camera.regions import Region
    from hyperbolic_seg.sky.camera.safety import MEASURES, Safety, SafetyJudge, SafetyRule
    from hyperbolic_seg.sky.camera.series import Series
    from hyperbolic_seg.sky.camera.sky_camera import SkyCamera, Taken, View
    from hyperbolic_seg.sky.camera.sun import Place, Sun, sun_at, suns_at
    from hyperbolic_seg.sky.camera.table import Columns
    from hyperbolic_seg.sky.camera.time_names import TimePattern

__all__ = [
    'ATTRIBUTES',
    'DOUBTS',
    'FEATURES',
    'INTERVALS',
    'MEASURES',
    'PROJECTIONS',
    'QUALITIES',
    'REASONS',
    'Columns',
    'Cover',
    'CoverCalibration',
    'Dome',
    'Ends',
    'Evidence',
    'Examination',
    'Exif',
    'FitsHeader',
    'Kind',
    'Lens',
    'Moment',
    'Moon',
    'NightSky',
    'Observation',
    'Place',
    'Quality',
    'Region',
    'Repeats',
    'Safety',
    'SafetyJudge',
    'SafetyRule',
    'Series',
    'SkyCamera',
    'Sun',
    'Taken',
    'TimePattern',
    'View',
    'appearance',
    'as_record',
    'check_keogram',
    'cover',
    'day_weights',
    'draw_keogram',
    'ends_of',
    'examine',
    'exif_in',
    'exif_of',
    'find_dome',
    'fits_header_in',
    'kind_of',
    'least_days',
    'meridian',
    'moon_at',
    'night_sky',
    'observe',
    'plot_day',
    'quality_of',
    'quantile_over_days',
    'runs_of',
    'speaks_of_sky',
    'sun_at',
    'suns_at',
    'with_interval',
]
__getattr__ = attach(
    __name__,
    dict(
        ATTRIBUTES='about',
        DOUBTS='evidence',
        FEATURES='cover_calibration',
        INTERVALS='cover_calibration',
        MEASURES='safety',
        PROJECTIONS='lens',
        QUALITIES='quality',
        REASONS='quality',
        Columns='table',
        Cover='coverage',
        CoverCalibration='cover_calibration',
        Dome='dome',
        Ends='conformal',
        Evidence='evidence',
        Examination='examination',
        Exif='exif',
        FitsHeader='fits_header',
        Kind='kinds',
        Lens='lens',
        Moment='evidence',
        Moon='moon',
        NightSky='night',
        Observation='observation',
        Place='sun',
        Quality='quality',
        Region='regions',
        Repeats='quality',
        Safety='safety',
        SafetyJudge='safety',
        SafetyRule='safety',
        Series='series',
        SkyCamera='sky_camera',
        Sun='sun',
        Taken='sky_camera',
        TimePattern='time_names',
        View='sky_camera',
        appearance='cover_calibration',
        as_record='observation',
        check_keogram='keogram',
        cover='coverage',
        day_weights='conformal',
        draw_keogram='keogram',
        ends_of='cover_calibration',
        examine='examination',
        exif_in='exif',
        exif_of='exif',
        find_dome='dome',
        fits_header_in='fits_header',
        kind_of='kinds',
        least_days='conformal',
        meridian='keogram',
        moon_at='moon',
        night_sky='night',
        observe='observation',
        plot_day='plots',
        quality_of='quality',
        quantile_over_days='conformal',
        runs_of='keogram',
        speaks_of_sky='kinds',
        sun_at='sun',
        suns_at='sun',
        with_interval='cover_calibration',
    ),
)
