"""The page in a real browser: upload, prompts, result on the screen."""

import os
import shutil
import signal
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy as np
import pytest
from PIL import Image

pytest.importorskip('playwright', reason='playwright is not installed: pip install -e ".[dev]"')
from playwright.sync_api import expect, sync_playwright

from hyperbolic_seg.app.watching import Journal
from hyperbolic_seg.sky.camera import Cover, Observation, Quality, View, as_record
from hyperbolic_seg.sky.renderer import render_sky
from tests import processes

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
CLASSES = '#classes tr, #small tr'
SHARES = '#classes td:last-child, #small td:last-child'


@contextmanager
def serving(folder, *arguments):
    """Start the server and yield its address."""
    server = processes.Program('hyperbolic_seg.app.cli.main', 'serve', '--port', '0', *arguments, cwd=folder)
    yield server.wait_for(r'the page is at ([^,]+),', stream='stderr')[1]
    os.kill(server.pid, signal.SIGTERM)
    server.wait(timeout=30)


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    with serving(tmp_path_factory.mktemp('server')) as address:
        yield address


@pytest.fixture(scope='module')
def camera_address(tmp_path_factory):
    """A server with a camera, a threshold, and a folder that another camera fills."""
    folder = tmp_path_factory.mktemp('camera')
    (folder / 'camera.yaml').write_text(
        'center: [79.5, 79.5]\nradius: 79\nlatitude: 47\nlongitude: 8\ntime_format: "%Y%m%d_%H%M"\n'
    )
    now = datetime.now(timezone.utc).replace(microsecond=0)
    with Journal(folder / 'watched') as journal:
        for minutes, reasons in WATCHED:
            cover, quality = Cover(0.6, 0.5, 0.75, 5), Quality.of(*reasons)
            observation = None if quality.name == 'refused' else Observation({'cloud': cover}, cover)
            view = View(np.zeros((0, 0)), now - timedelta(minutes=minutes), None, 'name')
            journal.add(f'{minutes}.jpg', [1, 2], dict(image='a') | as_record(observation, view, quality))
    with serving(folder, '--camera', 'camera.yaml', '--threshold', '0.62', '--watched', 'watched') as address:
        yield address


WATCHED = [(2 * 24 * 60, ()), (2 * 24 * 60 - 1, ('black',)), (2 * 24 * 60 - 2, ('blurred',)), (42, ())]
"""Minutes before now, and reasons of the quality."""


@pytest.fixture(scope='module')
def browser():
    if CHROMIUM is None:
        pytest.skip('no Chromium on this machine: apt install chromium')
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield browser
        browser.close()


@contextmanager
def opened(browser, address):
    """Open a page; no script of it may fail, and nothing that its policy forbids may be tried."""
    page, wrong = browser.new_page(viewport=dict(width=1100, height=900)), []
    page.on('pageerror', lambda error: wrong.append(str(error)))
    page.on('console', lambda output: wrong.append(output.text) if output.type == 'error' else None)
    page.goto(address)
    yield page
    page.close()
    assert not [text for text in wrong if '422' not in text], wrong


@pytest.fixture
def page(browser, address):
    with opened(browser, address) as page:
        yield page


@pytest.fixture
def camera_page(browser, camera_address):
    with opened(browser, camera_address) as page:
        yield page


def test_upload_prompts_and_result_on_the_screen(page, tmp_path):
    colors = np.random.default_rng(0).integers(60, 250, (4, 4, 3)).astype(np.uint8)
    Image.fromarray(colors).resize((160, 120)).save(tmp_path / 'sky.png')
    page.fill('#prompts', 'clear sky, cumulus, sun')
    page.set_input_files('#file', tmp_path / 'sky.png')
    rows = page.locator(CLASSES)
    expect(rows).to_have_count(3, timeout=60_000)
    shares = [float(text.split()[0]) for text in page.locator(SHARES).all_text_contents()]
    assert sum(shares) == pytest.approx(100, abs=0.2) and shares == sorted(shares, reverse=True)
    expect(page.locator('#view')).to_have_js_property('naturalWidth', 160)
    masks = page.locator('#view').get_attribute('src')
    page.click('text=Uncertainty')
    assert page.locator('#view').get_attribute('src') != masks and 'probability of the label' in page.inner_text(
        '#caption'
    )
    page.fill('#prompts', 'clear sky, cloud')
    page.locator('#threshold').fill('0.6')
    page.click('#go')
    expect(rows).to_have_count(2, timeout=60_000)
    expect(page.locator('#nodes')).to_be_visible()


def test_several_images_are_shown_side_by_side_and_a_broken_one_is_named(page, tmp_path):
    for name, angle in (('upright.png', 0), ('turned.png', 180)):
        Image.linear_gradient('L').rotate(angle).resize((64, 48)).convert('RGB').save(tmp_path / name)
    (tmp_path / 'text.png').write_bytes(b'no image')
    page.fill('#prompts', 'clear sky, cloud')
    page.set_input_files('#file', [tmp_path / name for name in ('upright.png', 'text.png', 'turned.png')])
    expect(page.locator('#status.error')).to_contain_text('text.png', timeout=60_000)
    thumbnails = page.locator('#images button')
    expect(thumbnails).to_have_count(2)
    expect(thumbnails.nth(1)).to_have_attribute('aria-pressed', 'true')
    page.fill('#prompts', 'clear sky, cloud, sun')
    thumbnails.nth(0).click()  # its prompts are out of date
    expect(page.locator(CLASSES)).to_have_count(3, timeout=60_000)
    page.click('[data-view=image]')
    assert page.locator('#view').get_attribute('src') == thumbnails.nth(0).locator('img').get_attribute('src')


def test_an_error_is_shown_and_an_example_works_after_it(page, tmp_path):
    (tmp_path / 'sky.png').write_bytes(b'no image')
    page.set_input_files('#file', tmp_path / 'sky.png')
    expect(page.locator('#status.error')).to_contain_text('not a readable image', timeout=60_000)
    Image.new('RGB', (64, 48), (90, 140, 200)).save(tmp_path / 'sky.png')
    page.set_input_files('#file', tmp_path / 'sky.png')
    expect(page.locator('#status')).to_have_text('', timeout=60_000)
    expect(page.locator('#view')).to_have_js_property('naturalWidth', 64)
    page.click('#examples button >> nth=0')
    expect(page.locator('#view')).to_have_js_property('naturalWidth', 384, timeout=60_000)
    expect(page.locator(CLASSES)).to_have_count(22, timeout=60_000)
    expect(page.locator('#status')).to_have_text('')
    page.screenshot(path=tmp_path / 'page.png')
    assert (tmp_path / 'page.png').stat().st_size > 20_000


def test_small_classes_are_folded_into_a_line_that_opens(page):
    page.click('#examples button >> nth=0')
    expect(page.locator(CLASSES)).to_have_count(22, timeout=60_000)
    shares = [float(text.split()[0]) for text in page.locator('#classes td:last-child').all_inner_texts()]
    small = page.locator('#small tr').count()
    assert min(shares) >= 0.5 and small + len(shares) == 22 and small > 1
    assert page.inner_text('#folded summary') == f'{small} classes below 0.5 %'
    expect(page.locator('#small tr >> nth=0')).to_be_hidden()
    page.focus('#folded summary')
    page.keyboard.press('Enter')
    expect(page.locator('#small tr >> nth=0')).to_be_visible()


def test_a_link_restores_the_question_and_runs_it(page, browser, address, tmp_path):
    page.fill('#prompts', 'clear sky, cumulus, sun')
    page.locator('#threshold').fill('0.7')
    page.click('#examples button >> nth=1')
    expect(page.locator(CLASSES)).to_have_count(3, timeout=60_000)
    nodes = page.locator('#nodes tbody tr').all_inner_texts()
    link = page.evaluate('document.getElementById("share").href')
    assert link == page.url and parse_qs(urlsplit(link).fragment) == dict(
        prompts=['clear sky, cumulus, sun'], threshold=['0.7'], example=['altocumulus']
    )
    with opened(browser, link) as other:
        expect(other.locator(CLASSES)).to_have_count(3, timeout=60_000)
        assert other.input_value('#prompts') == 'clear sky, cumulus, sun'
        assert other.locator('#nodes tbody tr').all_inner_texts() == nodes and nodes
        other.evaluate('location.hash = "#prompts=a%20%26%20%23b%2C%20%22c%22&threshold=off"')
        expect(other.locator('#prompts')).to_have_value('a & #b, "c"')
        expect(other.locator('#sure')).to_have_text('off')
    Image.new('RGB', (64, 48), (90, 140, 200)).save(tmp_path / 'private.png')
    page.set_input_files('#file', tmp_path / 'private.png')
    expect(page.locator('#view')).to_have_js_property('naturalWidth', 64, timeout=60_000)
    assert 'example' not in page.url and 'private' not in page.url


@pytest.mark.parametrize(
    'link, message', [('#threshold=2', 'a threshold that is not'), ('#example=x', 'unknown example')]
)
def test_a_link_that_cannot_be_used_says_why(browser, address, link, message):
    with opened(browser, f'{address}/{link}') as page:
        expect(page.locator('#status.error')).to_contain_text(message)
        assert page.locator('#results').is_hidden()


def test_a_picture_of_the_camera_has_oktas_time_and_sun(camera_page, tmp_path):
    cv2.imwrite(str(tmp_path / 'cam_20240717_1130.png'), render_sky(9, 160).image)
    camera_page.set_input_files('#file', tmp_path / 'cam_20240717_1130.png')
    expect(camera_page.locator('#oktas')).to_contain_text('okta', timeout=60_000)
    facts = camera_page.inner_text('#facts')
    assert '2024-07-17 11:30:00+00:00, from the file name' in facts
    assert "The interval is the model's own, without a guarantee" in facts
    assert '64.1° above the horizon, azimuth 177.7° (S), day' in facts, 'a summer noon in Bern'
    expect(camera_page.locator('#nodes')).to_be_visible()
    expect(camera_page.locator('#sure')).to_have_text('62 %')
    assert camera_page.locator('#marks circle.sun').count() == 1
    assert camera_page.locator('#hidden').is_visible() and camera_page.locator('th.of-sky >> nth=0').is_visible()
    picture = camera_page.locator('#view').bounding_box()
    sun = camera_page.locator('#marks circle.sun').bounding_box()
    assert sun['y'] + sun['height'] / 2 > picture['y'] + picture['height'] / 2, 'south is below the center'
    camera_page.click('#show-marks')
    assert camera_page.locator('#hidden').is_hidden() and camera_page.locator('#marks circle').count() == 0
    Image.new('RGB', (160, 160)).save(tmp_path / 'cam_20240717_1135.png')
    camera_page.set_input_files('#file', tmp_path / 'cam_20240717_1135.png')
    expect(camera_page.locator('#quality')).to_contain_text(
        'No picture of the sky. black: nothing in it', timeout=60_000
    )
    assert camera_page.inner_text('#oktas') == '' and camera_page.locator(CLASSES).count() == 0
    expect(camera_page.locator('[data-view=overlay]')).to_be_disabled()


def test_the_watched_camera_has_its_age_and_its_days(camera_page):
    expect(camera_page.locator('#now')).to_have_text('5 oktas, 60 % (50 to 75 %) of the sky')
    expect(camera_page.locator('#remarks')).not_to_contain_text('interval')  # of records of an earlier version
    age = camera_page.locator('#age')
    expect(age).to_contain_text('Old: 4')
    assert 'minutes ago' in age.inner_text() and age.get_attribute('data-old') == 'true'
    day = camera_page.inner_text('#date')
    assert day in age.inner_text()
    expect(camera_page.locator('#after')).to_be_disabled()
    camera_page.click('#before')
    expect(camera_page.locator('#date')).not_to_have_text(day)
    expect(camera_page.locator('#after')).to_be_enabled()


def test_refused_pictures_are_gaps_and_doubtful_ones_are_marked(camera_page):
    """A picture before the refused one and one after it: no line joins them."""
    camera_page.click('#before')
    expect(camera_page.locator('#course')).to_contain_text('1 doubtful')
    if '3 pictures' not in camera_page.inner_text('#course'):
        pytest.skip('midnight between the pictures')
    assert '3 pictures: 5 to 5 oktas, 1 doubtful, 1 refused' in camera_page.locator('#strip').get_attribute(
        'aria-label'
    )
    counts = {
        name: camera_page.locator(f'#strip .{name}').count() for name in ('refused', 'doubtful', 'curve', 'point')
    }
    assert counts == dict(refused=1, doubtful=1, curve=0, point=2)
    camera_page.focus('#strip')
    camera_page.keyboard.press('ArrowLeft')
    expect(camera_page.locator('#chosen')).to_contain_text('5 oktas, 60 % (50 to 75 %). Doubtful. blurred: nothing is')
