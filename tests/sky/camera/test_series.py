"""Time series, read back by those who use them."""

import csv
import os

import cv2
import numpy as np
import pytest
import xarray

from hyperbolic_seg.sky.camera.series import Series


def record(image, time, fraction=0.5, sun=True, names=('clear sky', 'cumulus')):
    each = dict(fraction=fraction, low=fraction / 2, high=min(1, fraction * 1.5), oktas=round(8 * fraction))
    where = dict(elevation=12.5, azimuth=101.0, phase='day') if sun else None
    return dict(image=image, time=time, sun=where, cloud=each, cover={name: each for name in names})


RECORDS = [
    record('b.jpg', '2024-07-17T12:00:00+02:00', 0.25),
    record('a.jpg', '2024-07-17T09:00:00+00:00', 1.0, sun=False, names=('cumulus', 'cirrus')),
    dict(image='c.jpg', time=None),
]


def test_rows_are_sorted_by_time(tmp_path):
    Series(RECORDS).write_csv(tmp_path / 'day.csv')
    first, second = csv.DictReader((tmp_path / 'day.csv').open())
    assert (first['image'], first['time']) == ('a.jpg', '2024-07-17T09:00:00Z')
    assert (second['image'], second['time']) == ('b.jpg', '2024-07-17T10:00:00Z')
    assert first['phase'] == first['sun elevation'] == first['clear sky fraction'] == ''
    assert second['phase'] == 'day' and second['all cloud oktas'] == '2' and second['cirrus low'] == ''


def test_a_class_of_cloud_and_all_cloud_have_columns_of_their_own(tmp_path):
    Series([record('a.jpg', '2024-07-17T09:00:00+00:00', names=('clear sky', 'cloud'))]).write_csv(tmp_path / 'a.csv')
    header = next(csv.reader((tmp_path / 'a.csv').open()))
    assert len(header) == len(set(header)) and {'all cloud low', 'cloud low'} <= set(header)


def test_rows_hold_no_formula_and_no_control_character(tmp_path):
    names, odd = ('=sum', '@cl\x1b[31moud'), os.fsdecode(b'caf\xe9.jpg')
    images = ['=1+1.jpg', '-a.jpg', 'b\x1b]0;x\x07\r\n\u202e.jpg', odd]
    times = [f'2024-07-17T0{hour}:00:00+00:00' for hour in range(4)]
    records = [record(image, time, names=names) for image, time in zip(images, times, strict=True)]
    for each in records:
        each['sun']['elevation'] = -12.5
    Series(records).write_csv(tmp_path / 'day.csv')
    content = (tmp_path / 'day.csv').read_bytes()
    assert not set(content) & (set(range(32)) - set(b'\r\n')) and b'caf\xe9.jpg' in content
    with (tmp_path / 'day.csv').open(newline='', encoding='utf-8', errors='surrogateescape') as file:
        rows = list(csv.DictReader(file))
    assert [row['image'] for row in rows] == ['./=1+1.jpg', './-a.jpg', r'b\x1b]0;x\x07\r\n\u202e.jpg', odd]
    assert all(row['sun elevation'] == '-12.5' for row in rows), 'numbers are as they were'
    assert rows[0]["'=sum fraction"] == rows[0][r"'@cl\x1b[31moud fraction"] == '0.5'


def test_netcdf_follows_the_cf_conventions(tmp_path):
    Series(RECORDS).write_netcdf(tmp_path / 'day.nc')
    with xarray.open_dataset(tmp_path / 'day.nc', decode_cf=False) as raw:
        assert '_FillValue' not in raw.time.attrs
    with xarray.open_dataset(tmp_path / 'day.nc') as found:
        assert found.attrs['Conventions'].startswith('CF-')
        assert found.time.values.astype('datetime64[s]').astype(str).tolist() == [
            '2024-07-17T09:00:00',
            '2024-07-17T10:00:00',
        ]
        assert found.cloud.attrs['standard_name'] == 'cloud_area_fraction' and found.cloud.attrs['units'] == '1'
        assert found.cloud.values.tolist() == [1.0, 0.25]
        assert found.cover.sel(cloud_class='cirrus').values[0] == 1 and np.isnan(found.cover_low.values).sum() == 2
        assert found.solar_elevation.attrs == dict(standard_name='solar_elevation_angle', units='degree')
        assert found.phase.attrs['flag_meanings'] == 'day dusk night'
        assert np.isnan(found.phase.values[0]) and found.phase.values[1] == 0
        assert all(set(v.attrs) & {'long_name', 'standard_name'} for v in found.variables.values())


EACH = dict(fraction=0.25, low=0.1, high=0.5, oktas=2)
NIGHTLY = [
    RECORDS[0] | dict(moon=dict(elevation=-3.5, azimuth=240.0, illumination=0.75), regions=dict(zenith=EACH, sun=None)),
    RECORDS[1] | dict(moon=None, cloud=None, cover={}, regions=dict(north=EACH)),
    record('old.jpg', '2024-07-16T09:00:00+00:00'),
]


def test_rows_hold_the_moon_and_the_cover_of_regions(tmp_path):
    Series(NIGHTLY).write_csv(tmp_path / 'day.csv')
    old, first, second = csv.DictReader((tmp_path / 'day.csv').open())
    assert [second[f'moon {part}'] for part in ('elevation', 'azimuth', 'illumination')] == ['-3.5', '240.0', '0.75']
    assert second['all cloud in zenith fraction'] == '0.25' and second['all cloud in zenith oktas'] == '2'
    assert second['all cloud in sun low'] == second['all cloud in north high'] == first['moon azimuth'] == ''
    assert first['all cloud in north high'] == '0.5'
    assert {value for key, value in old.items() if 'moon' in key or ' in ' in key} == {''}


def test_netcdf_has_a_dimension_of_regions(tmp_path):
    Series(NIGHTLY).write_netcdf(tmp_path / 'day.nc')
    with xarray.open_dataset(tmp_path / 'day.nc') as found:
        assert found.region.values.tolist() == ['north', 'zenith', 'sun'] and found.region_cloud.dims == (
            'time',
            'region',
        )
        assert found.region_cloud.sel(region='zenith').values[2] == 0.25
        assert found.region_cloud_oktas.sel(region='north').values[1] == 2
        assert np.isnan(found.region_cloud_low.values).sum() == 7
        assert found.moon_illumination.values[2] == 0.75 and np.isnan(found.moon_azimuth.values[:2]).all()
        assert found.moon_elevation.attrs['units'] == 'degree' and found.moon_elevation.values[2] == -3.5
        assert all(set(v.attrs) & {'long_name', 'standard_name'} for v in found.variables.values())
    assert 'region' not in Series(RECORDS).dataset().dims


def test_a_plot_is_drawn(tmp_path):
    Series(RECORDS).plot(tmp_path / 'day.png')
    assert cv2.imread(str(tmp_path / 'day.png')).std() > 5


def test_without_times_there_is_no_series():
    with pytest.raises(ValueError, match='no image has a time'):
        Series([RECORDS[2]])
