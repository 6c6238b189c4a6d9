"""Time series, read back by those who use them."""

import csv
import json
import os
import resource

import cv2
import numpy as np
import pytest
import xarray

from hyperbolic_seg.sky.camera import ATTRIBUTES, Region, SkyCamera, plot_day
from hyperbolic_seg.sky.camera.series import Series

OSLO = dict(latitude=59.94, longitude=10.72, altitude=96.0)


def record(image, time, fraction=0.5, sun=True, names=('clear sky', 'cumulus'), **others):
    each = dict(fraction=fraction, low=fraction / 2, high=min(1, fraction * 1.5), oktas=round(8 * fraction))
    where = dict(elevation=12.5, azimuth=101.0, phase='day') if sun else None
    return dict(image=image, time=time, sun=where, cloud=each, cover={name: each for name in names}) | others


def refused(image, time):
    return record(image, time) | dict(cloud=None, cover={}, quality='refused', quality_reasons=['fog', 'dew; ice'])


RECORDS = [
    record('b.jpg', '2024-07-17T12:00:00+02:00', 0.25),
    record('a.jpg', '2024-07-17T09:00:00+00:00', 1.0, sun=False, names=('cumulus', 'cirrus')),
    dict(image='c.jpg', time=None),
]
MOON = dict(elevation=-3.5, azimuth=240.0, illumination=0.75)
DAY = [
    record('a.jpg', '2024-07-17T09:00:00+00:00', 0.2, quality='ok', quality_reasons=[], place=OSLO, moon=MOON),
    refused('b.jpg', '2024-07-17T09:10:00+00:00'),
    record('c.jpg', '2024-07-17T09:20:00+00:00', 0.4, quality='doubtful', quality_reasons=['dirt']),
    record('d.jpg', '2024-07-17T10:20:00+00:00', 0.6, quality='ok', quality_reasons=[]),
    record('e.jpg', '2024-07-17T10:30:00+00:00', 0.8),
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
    assert not set(content) & (set(range(32)) - set(b'\r\n'))
    rows = list(csv.DictReader(content.decode('utf-8').splitlines()))
    expected = ['./=1+1.jpg', './-a.jpg', r'b\x1b]0;x\x07\r\n\u202e.jpg', r'caf\udce9.jpg']
    assert [row['image'] for row in rows] == expected
    Series(records).write_netcdf(tmp_path / 'day.nc')
    with xarray.open_dataset(tmp_path / 'day.nc') as found:
        assert [str(name) for name in found.image.values] == [r'=1+1.jpg', '-a.jpg', expected[2], expected[3]]
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
        by_name = found.swap_dims(class_number='cloud_class')
        assert by_name.cover.sel(cloud_class='cirrus').values[0] == 1 and np.isnan(found.cover_low.values).sum() == 2
        assert found.solar_elevation.attrs['standard_name'] == 'solar_elevation_angle'
        assert 'with refraction' in found.solar_elevation.attrs['long_name']
        assert 'featureType' not in found.attrs and 'latitude' not in found, 'the place is not known'
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
        assert found.region.values.tolist() == ['north', 'zenith', 'sun']
        by_name = found.swap_dims(region_number='region')
        assert by_name.region_cloud.sel(region='zenith').values[2] == 0.25
        assert by_name.region_cloud_oktas.sel(region='north').values[1] == 2
        assert np.isnan(found.region_cloud_low.values).sum() == 7
        assert found.moon_illumination.values[2] == 0.75 and np.isnan(found.moon_azimuth.values[:2]).all()
        assert found.moon_elevation.attrs['units'] == 'degree' and found.moon_elevation.values[2] == -3.5
        assert all(set(v.attrs) & {'long_name', 'standard_name'} for v in found.variables.values())
    assert 'region_number' not in Series(RECORDS).dataset().dims


def test_a_plot_is_drawn(tmp_path):
    Series(RECORDS).plot(tmp_path / 'day.png')
    assert cv2.imread(str(tmp_path / 'day.png')).std() > 5


def test_without_times_there_is_no_series():
    with pytest.raises(ValueError, match='no image has a time'):
        Series([RECORDS[2]])


def test_of_an_image_that_was_written_again_the_last_record_counts():
    again = record('a.jpg', '2024-07-17T09:00:00+00:00', 0.75)
    series = Series([record('a.jpg', '2024-07-17T11:00:00+02:00', 0.25), again])
    assert [found['cloud']['fraction'] for found in series.records] == [0.75]


def test_refused_and_doubtful_images_are_in_the_table_and_flagged_in_netcdf(tmp_path):
    Series(DAY).write(tmp_path / 'day.csv')
    Series(DAY).write(tmp_path / 'day.nc')
    rows = list(csv.DictReader((tmp_path / 'day.csv').open()))
    assert [row['quality'] for row in rows] == ['ok', 'refused', 'doubtful', 'ok', '']
    assert rows[1]['quality_reasons'] == 'fog; dew; ice' and rows[1]['all cloud fraction'] == ''
    assert rows[1]['sun elevation'] == '12.5'
    with xarray.open_dataset(tmp_path / 'day.nc', decode_cf=False) as raw:
        assert raw.quality.values.tolist() == [0, 2, 1, 0, -1] and raw.quality.attrs['_FillValue'] == -1
        assert raw.quality.attrs['flag_values'].dtype == raw.quality.dtype == np.int8
        assert raw.quality.attrs['flag_meanings'] == 'ok doubtful refused'
        assert np.isnan(raw.cloud.values).tolist() == [False, True, False, False, False]
        assert np.isnan(raw.cover.values[:, 1]).all() and raw.quality_reasons.values[2] == 'dirt'
        assert (raw.cloud_oktas.values * float(raw.cloud_oktas.attrs['units']))[0] == pytest.approx(0.25)


ABOUT = {name: 'https://example.org' if name.endswith(('_url', 'link')) else 'a text' for name in ATTRIBUTES}
ABOUT |= dict(creator_type='institution', publisher_type='institution')


def complaints(file, standard):
    """What the compliance checker of IOOS finds wrong, from recommendations up, by its own priorities."""
    suite = pytest.importorskip('compliance_checker.suite', reason='needs compliance-checker')
    suite.CheckSuite.load_all_available_checkers()
    checks = suite.CheckSuite()
    (groups, errors), *others = checks.run_all(checks.load_dataset(str(file)), [standard]).values()
    assert len(groups) > 5 and not others and not errors
    failed = [group for group in groups if group.weight > 1 and group.value[0] < group.value[1]]
    return {message for group in failed for message in group.msgs or [group.name]}


def test_netcdf_satisfies_the_checker_of_cf_and_acdd(tmp_path):
    camera = SkyCamera(
        **OSLO,
        station='Blindern',
        attributes=ABOUT,
        regions=dict(zenith=Region((0, 30))),
        adaptation='/srv/roof.st',
    )
    records = [each | dict(regions=dict(zenith=each['cloud'])) for each in DAY]
    Series(records, camera=camera).write(tmp_path / 'day.nc')
    assert not complaints(tmp_path / 'day.nc', 'cf:1.11') and not complaints(tmp_path / 'day.nc', 'acdd:1.3')
    with xarray.open_dataset(tmp_path / 'day.nc') as found:
        assert found.station.item() == 'Blindern' and found.station.attrs['cf_role'] == 'timeseries_id'
        assert (found.latitude.item(), found.longitude.item(), found.altitude.item()) == (59.94, 10.72, 96)
        assert found.attrs['featureType'] == 'timeSeries' and found.attrs['institution'] == 'a text'
        assert found.attrs['time_coverage_start'] == '2024-07-17T09:00:00Z'
        assert found.attrs['time_coverage_resolution'] == 'PT600S'
        assert found.attrs['time_coverage_duration'] == 'PT5400S'
        settings = json.loads(found.attrs['camera_settings'])
        assert (settings['station'], settings['adaptation']) == ('Blindern', 'roof.st')


@pytest.mark.parametrize('records', [RECORDS, DAY], ids=['no place', 'place of EXIF'])
def test_netcdf_without_a_camera_file_lacks_what_only_its_owner_knows(tmp_path, records):
    Series(records).write(tmp_path / 'day.nc')
    assert not complaints(tmp_path / 'day.nc', 'cf:1.11')
    missing = {message.split(' not present')[0] for message in complaints(tmp_path / 'day.nc', 'acdd:1.3')}
    unknown = {name for name in missing if 'geospatial' in name or name == 'id'} if records is RECORDS else set()
    assert missing - unknown <= {*ATTRIBUTES, 'acknowledgment/acknowledgement'}


def test_a_series_is_of_one_place(tmp_path):
    jitter = [OSLO | dict(latitude=59.94 + step / 1e4) for step in (-1, 0, 1)]
    records = [record(f'{i}.jpg', f'2024-07-17T09:0{i}:00+00:00', place=place) for i, place in enumerate(jitter)]
    assert Series(records).place.latitude == pytest.approx(59.94)
    moved = [*records, record('x.jpg', '2024-07-17T10:00:00+00:00', place=OSLO | dict(longitude=11.0))]
    with pytest.raises(ValueError, match='from several places.*give latitude and longitude in the camera file'):
        Series(moved).write(tmp_path / 'day.nc')
    given = SkyCamera(latitude=1.0, longitude=2.0)
    assert Series(moved, camera=given).place == (1.0, 2.0, 0.0)
    assert not list(tmp_path.iterdir())


def test_durations_are_exact_for_months_and_for_fractions_of_a_second():
    times = ('2024-01-01T00:00:00+00:00', '2024-01-01T00:00:00.250000+00:00', '2024-06-01T00:00:01+00:00')
    about = Series([record(time, time) for time in times]).dataset().attrs
    assert (
        about['time_coverage_duration'] == f'PT{152 * 86400 + 1}S'
        and about['time_coverage_start'] == '2024-01-01T00:00:00Z'
    )


def test_two_images_of_one_time_are_in_the_table_and_refused_in_netcdf(tmp_path):
    twins = [record(name, '2024-07-17T09:00:00+00:00') for name in ('long.jpg', 'short.jpg')]
    Series(twins).write(tmp_path / 'day.csv')
    assert [row['image'] for row in csv.DictReader((tmp_path / 'day.csv').open())] == ['long.jpg', 'short.jpg']
    with pytest.raises(ValueError, match=r'long.jpg and short.jpg have the same time, 2024-07-17T09:00:00\+00:00'):
        Series(twins).write(tmp_path / 'day.nc')


def test_the_table_is_described_as_csv_on_the_web(tmp_path):
    """The rules of the recommendation Metadata Vocabulary for Tabular Data that a reader relies on."""
    model = dict(name='hyperclip-unet-cloud', sha256='ab' * 32)
    records = [each | dict(model=model, fractions={'clear sky': 0.5, 'mast': 0.5}) for each in DAY]
    Series(records, camera=SkyCamera(station='Blindern', mask=None)).write(tmp_path / 'my day.csv')
    about = json.loads((tmp_path / 'my day.csv-metadata.json').read_text())
    rows = list(csv.reader((tmp_path / 'my day.csv').open()))
    assert about['@context'][0] == 'http://www.w3.org/ns/csvw' and about['url'] == 'my%20day.csv'
    columns = about['tableSchema']['columns']
    assert [column['titles'] for column in columns] == rows[0]
    kinds = dict(number=float, integer=int, string=str, dateTime=np.datetime64)
    for row in rows[1:]:
        for column, value in zip(columns, row, strict=True):
            assert value == '' or kinds[column['datatype']](value.removesuffix('Z')) is not None
    (note,) = about['notes']
    assert note['models'] == [model] and note['prompts'] == ['clear sky', 'mast']
    assert note['camera']['station'] == note['station'] == 'Blindern'


@pytest.mark.parametrize('suffix', ['.csv', '.nc', '.png'])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, suffix):
    """No file may be longer than 2000 bytes, as on a disk that is full."""
    file = tmp_path / f'day{suffix}'
    file.write_bytes(b'old')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    series = Series([record(f'{i}.jpg', f'2024-07-17T09:{i}:00+00:00') for i in range(10, 60)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises((OSError, RuntimeError)):
            series.write(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == b'old' and [path.name for path in tmp_path.iterdir()] == [file.name]
    series.write(file)
    assert file.stat().st_size > 2000


@pytest.mark.filterwarnings('error')
def test_a_series_of_refused_images_is_written(tmp_path):
    series = Series([refused('a.jpg', '2024-07-17T09:00:00+00:00'), refused('b.jpg', '2024-07-17T09:10:00+00:00')])
    for suffix in ('.csv', '.nc', '.png'):
        series.write(tmp_path / f'day{suffix}')
    plot_day(series, '2024-07-17').savefig(tmp_path / 'strip.png')


def lines_of(figure):
    return {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}


def test_lines_break_at_gaps_and_at_refused_images():
    from hyperbolic_seg.sky.camera.plots import plot_series

    figure = plot_series(Series(DAY))
    for label, expected in (
        ('all cloud', [0.2, None, 0.4, None, 0.6, 0.8]),
        ('cumulus', [0.2, None, 0.4, None, 0.6, 0.8]),
    ):
        drawn = lines_of(figure)[label].get_ydata()
        assert [None if np.isnan(value) else value for value in drawn] == expected, label
    (circles,) = [each for each in figure.axes[0].collections if each.get_label() == 'doubtful']
    assert circles.get_offsets()[:, 1].tolist() == [0.4]


def elevation(time):
    """The geometric elevation of the sun in Oslo, by astropy."""
    coordinates, units = pytest.importorskip('astropy.coordinates'), pytest.importorskip('astropy.units')
    from astropy.time import Time
    from astropy.utils import iers

    with iers.conf.set_temp('auto_download', False):
        place = coordinates.EarthLocation(lat=59.94 * units.deg, lon=10.72 * units.deg, height=96 * units.m)
        frame = coordinates.AltAz(obstime=Time(time), location=place)
        return coordinates.get_sun(frame.obstime).transform_to(frame).alt.deg


def test_the_plot_of_a_day_has_its_phases_and_qualities(tmp_path):
    from matplotlib.dates import num2date

    figure = plot_day(Series(DAY), '2024-07-17')
    upper, lower = figure.axes
    (day,) = [patch for patch in upper.patches if patch.get_label() == 'day']
    for edge in (day.get_x(), day.get_x() + day.get_width()):
        assert elevation(num2date(edge)) == pytest.approx(-0.833, abs=0.15), 'the sun moves by 0.1 degrees in a minute'
    drawn = {str(bars.get_facecolor()): len(bars.get_paths()) for bars in lower.collections if bars.get_paths()}
    assert sorted(drawn.values()) == [1, 1, 1, 2], 'doubtful, refused, unknown, and two that are ok'
    figure.savefig(tmp_path / 'day.png')
    assert cv2.imread(str(tmp_path / 'day.png')).std() > 5


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(station=' '), "station: ' ': expected a line of text"),
        (dict(station='a\nb'), 'station: .*expected a line of text'),
        (dict(attributes=dict(creater_name='x')), 'no such attributes: creater_name. There are title,'),
        (dict(attributes=dict(Conventions='CF-1.0')), 'no such attributes: Conventions'),
        (dict(attributes=dict(license='')), "license: '': expected a line of text"),
    ],
)
def test_what_the_camera_file_says_about_itself_is_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        SkyCamera(**settings)


def test_attributes_are_read_from_the_camera_file(tmp_path):
    (tmp_path / 'camera.yaml').write_text('station: Blindern\nattributes: {institution: University of Oslo}\n')
    camera = SkyCamera.load(tmp_path / 'camera.yaml')
    assert camera.station == 'Blindern' and camera.attributes == dict(institution='University of Oslo')
    for wrong in ('attributes: [a]', 'attributes: {license: 3}', 'station: 3'):
        (tmp_path / 'camera.yaml').write_text(wrong)
        with pytest.raises(ValueError, match='expected (names with texts|text)'):
            SkyCamera.load(tmp_path / 'camera.yaml')
