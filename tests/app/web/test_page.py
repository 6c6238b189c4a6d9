"""The page in a real browser: upload, prompts, result on the screen."""

import os
import shutil
import signal

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('playwright', reason='playwright is not installed: pip install -e ".[dev]"')
from playwright.sync_api import expect, sync_playwright

from tests import processes

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')


@pytest.fixture(scope='module')
def address(tmp_path_factory):
    server = processes.Program(
        'hyperbolic_seg.app.cli.main', 'serve', '--port', '0', cwd=tmp_path_factory.mktemp('server')
    )
    yield server.wait_for(r'the page is at ([^,]+),', stream='stderr')[1]
    os.kill(server.pid, signal.SIGTERM)
    server.wait(timeout=30)


@pytest.fixture
def page(address):
    if CHROMIUM is None:
        pytest.skip('no Chromium on this machine: apt install chromium')
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        page = browser.new_page(viewport=dict(width=1100, height=900))
        wrong = []
        page.on('pageerror', lambda error: wrong.append(str(error)))
        page.on('console', lambda output: wrong.append(output.text) if output.type == 'error' else None)
        page.goto(address)
        yield page
        browser.close()
    assert not [text for text in wrong if '422' not in text], wrong


def test_upload_prompts_and_result_on_the_screen(page, tmp_path):
    colors = np.random.default_rng(0).integers(60, 250, (4, 4, 3)).astype(np.uint8)
    Image.fromarray(colors).resize((160, 120)).save(tmp_path / 'sky.png')
    page.fill('#prompts', 'clear sky, cumulus, sun')
    page.set_input_files('#file', tmp_path / 'sky.png')
    rows = page.locator('#classes tr')
    expect(rows).to_have_count(3, timeout=60_000)
    shares = [float(text.split()[0]) for text in page.locator('#classes td:last-child').all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.2) and shares == sorted(shares, reverse=True)
    expect(page.locator('#view')).to_have_js_property('naturalWidth', 160)
    masks = page.locator('#view').get_attribute('src')
    page.click('text=Uncertainty')
    assert page.locator('#view').get_attribute('src') != masks and 'hyperbolic radius' in page.inner_text('#caption')
    page.fill('#prompts', 'clear sky, cloud')
    page.locator('#threshold').fill('0.6')
    page.click('#go')
    expect(rows).to_have_count(2, timeout=60_000)
    expect(page.locator('#nodes')).to_be_visible()


def test_several_images_are_shown_side_by_side_and_a_broken_one_is_named(page, tmp_path):
    for name, level in (('light.png', 220), ('dark.png', 40)):
        Image.new('RGB', (64, 48), (level, level, level)).save(tmp_path / name)
    (tmp_path / 'text.png').write_bytes(b'no image')
    page.fill('#prompts', 'clear sky, cloud')
    page.set_input_files('#file', [tmp_path / name for name in ('light.png', 'text.png', 'dark.png')])
    expect(page.locator('#status.error')).to_contain_text('text.png', timeout=60_000)
    thumbnails = page.locator('#images button')
    expect(thumbnails).to_have_count(2)
    expect(thumbnails.nth(1)).to_have_attribute('aria-pressed', 'true')
    page.fill('#prompts', 'clear sky, cloud, sun')
    thumbnails.nth(0).click()  # its prompts are out of date
    expect(page.locator('#classes tr')).to_have_count(3, timeout=60_000)
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
    expect(page.locator('#classes tr')).to_have_count(15, timeout=60_000)
    expect(page.locator('#status')).to_have_text('')
    page.screenshot(path=tmp_path / 'page.png')
    assert (tmp_path / 'page.png').stat().st_size > 20_000
