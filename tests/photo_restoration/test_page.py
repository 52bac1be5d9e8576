"""The web page: its answers, and the page itself in a headless browser."""

import os
import re
import shutil
import signal
import sys
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
from common_kit import refused, save_params, small_network
from PIL import Image

from selfsr_plugin import web
from selfsr_plugin.archs import DomainDiscriminator
from selfsr_plugin.photo_restoration.page import Page, build, pick
from selfsr_plugin.photo_restoration.restorer import PhotoRestorer

BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)


@pytest.fixture
def detect(kit):
    """Finds a face of 30 pixels and one of 90 in whatever is not black."""
    faces = [kit.face(20, 20, 30), kit.face(80, 40, 90, 0.9)]
    return lambda image, threshold: faces if image.mean() > 5 else []


@pytest.fixture
def page(tmp_path, detect):
    net = small_network()

    def make(model, upscale, only_center_face):
        return PhotoRestorer(
            model or net, upscale=upscale, only_center_face=only_center_face, detect=detect, device='cpu'
        )

    (tmp_path / 'results').mkdir()
    return Page(make, str(tmp_path / 'results'))


@pytest.fixture
def photo(kit, tmp_path):
    cv2.imwrite(str(tmp_path / 'photo.png'), kit.photo())
    return str(tmp_path / 'photo.png')


def test_an_answer(page, photo, kit):
    answer = page.restore(photo, None, 1, False)
    limit = 'larger than the 64 pixels up to which the network restores faces'
    assert answer.sentence == f'photo.png: 1 of 2 faces restored. 1 left alone: {limit}.'
    result = cv2.imread(answer.file)
    assert Path(answer.file).name == 'photo.png' and np.array_equal(result[..., ::-1], answer.after)
    assert np.array_equal(answer.before[..., ::-1], kit.photo()) and (answer.before != answer.after).any()
    assert (answer.outlined[20, 20:50] == (60, 200, 90)).all() and answer.outlined.shape == answer.before.shape
    enlarged = page.restore(photo, None, 3, False)
    assert enlarged.before.shape == enlarged.after.shape == (450, 600, 3) and enlarged.outlined.shape == (150, 200, 3)


def test_a_stripe_of_a_photo(page, tmp_path):
    cv2.imwrite(str(tmp_path / 'stripe.png'), np.zeros((1, 9000, 3), np.uint8))
    answer = page.restore(str(tmp_path / 'stripe.png'), None, 1, False)
    assert answer.sentence == 'stripe.png: no face found.' and answer.before.shape[0] == 1


def test_faces_are_picked_where_they_are_shown(page, photo, kit, tmp_path):
    answer = page.restore(photo, None, 1, False)
    pair, about = pick(answer, 25, 45)
    assert pair.shape[1] > 2 * 320 and about == (
        '30 pixels in the photo, 30 into the network, 120 out of it; 53 % of what came out pasted; score 0.95.'
    )
    assert pick(answer, 120, 90) == (
        None,
        'this face of 90 pixels was left alone: larger than the 64 pixels up to which the network restores faces.',
    )
    cv2.imwrite(str(tmp_path / 'large.jpg'), kit.photo(1200, 3200))
    shrunk = page.restore(str(tmp_path / 'large.jpg'), None, 1, False)
    assert shrunk.outlined.shape == shrunk.after.shape == (600, 1600, 3)
    assert pick(shrunk, 14, 20)[1].startswith('30 pixels')
    assert Image.open(shrunk.file).size == (3200, 1200)
    cv2.imwrite(photo, np.zeros((50, 50, 3), np.uint8))
    black = page.restore(photo, None, 1, False)
    assert black.sentence == 'photo.png: no face found.' and pick(black, 3, 3)[1].startswith('no face was found')
    cmyk = tmp_path / 'cmyk.jpg'
    Image.new('CMYK', (50, 50), (255, 255, 255, 255)).save(cmyk, quality=60)
    unchanged = page.restore(str(cmyk), None, 1, False)
    assert unchanged.sentence == 'cmyk.jpg: no face found.' and Path(unchanged.file).name == 'cmyk.jpg'
    assert Path(unchanged.file).read_bytes() == cmyk.read_bytes()
    Image.new('CMYK', (50, 50), (0, 99, 0, 0)).save(cmyk)
    sentence = page.restore(str(cmyk), None, 1, False).sentence
    assert sentence.startswith('cmyk.jpg: 1 of 2 faces restored. ') and sentence.endswith(
        '. Its CMYK colours became sRGB.'
    )


def test_what_cannot_be_used_is_a_sentence(page, photo, tmp_path):
    def said(name, content, model=None):
        (tmp_path / name).write_bytes(content)
        answer = page.restore(str(tmp_path / name), model, 1, False)
        assert answer.file is None and answer.faces == ()
        return answer.sentence

    content = Path(photo).read_bytes()
    assert said('notes.txt', b'To do: nothing.') == 'notes.txt: it is cut short or not an image'
    assert said('cut.png', content[:2000]).startswith('cut.png: it is cut short')
    wrong = save_params(tmp_path / 'd.pth', params=small_network(DomainDiscriminator, num_feat=4))
    # a network is called by its name alone, whatever folder the upload lies in
    assert said('a.png', content, wrong).startswith('d.pth holds a DomainDiscriminator, and a SelfCondSRNet is needed')
    assert said('a.png', content, str(tmp_path / 'notes.txt')).startswith('notes.txt')
    gone = page.restore(str(tmp_path / 'gone.png'), None, 1, False)
    assert gone.sentence == 'gone.png: it is not here any more (No such file or directory): give it again'
    (tmp_path / 'results').rmdir()
    assert re.fullmatch(r'.*/results/\S+ cannot be written \(No such file or directory\): .*\.', said('a.png', content))


# ----- the command -----


def test_without_gradio(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'gradio', None)
    message = refused(capsys, web.main)
    assert 'the web page needs gradio' in message and "pip install 'selfsr_plugin[web]'" in message
    # what is wrong with the command line is said first
    assert '--model: there is no checkpoint none.pth.' in refused(capsys, web.main, '--model', 'none.pth')


def test_it_is_bound_to_this_machine(monkeypatch, capsys, tmp_path, detect):
    gradio = pytest.importorskip('gradio', reason='gradio is not installed')
    monkeypatch.setattr('selfsr_plugin.preparation.detection.FaceDetector', lambda *_: detect)
    model = save_params(tmp_path / 'g.pth', params=small_network())
    asked, launch = {}, gradio.Blocks.launch

    def remember(self, **options):
        asked.update(options)
        return None, 'http://127.0.0.1:7860/', None

    monkeypatch.setattr(gradio.Blocks, 'launch', remember)
    monkeypatch.setattr(gradio.Blocks, 'block_thread', lambda self: asked.update(folder=os.environ['GRADIO_TEMP_DIR']))
    monkeypatch.setenv('GRADIO_TEMP_DIR', '')
    monkeypatch.setenv('no_proxy', '')
    monkeypatch.setenv('http_proxy', 'http://127.0.0.1:9')
    web.main(['--model', model, '--device', 'cpu', '--port', '7999'])
    assert asked['server_name'] == '127.0.0.1' and asked['server_port'] == 7999 and asked['share'] is False
    assert not Path(asked['folder']).exists()  # photos do not stay behind
    assert 'http://127.0.0.1:7860/' in capsys.readouterr().out
    assert urllib.request.proxy_bypass('127.0.0.1')  # or gradio asks the proxy for the page and ends
    monkeypatch.setattr(gradio.Blocks, 'launch', launch)
    import socket

    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f'--port {port} is taken: give another' in refused(
            capsys, web.main, '--model', model, '--device', 'cpu', '--port', port
        )
    assert '70000 must be 65535 or less' in refused(capsys, web.main, '--port', 70000, status=2)


@pytest.mark.parametrize('which', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_photos_do_not_stay_behind_however_the_page_is_closed_down(which, monkeypatch, capsys, tmp_path, detect):
    gradio = pytest.importorskip('gradio', reason='gradio is not installed')
    monkeypatch.setattr('selfsr_plugin.preparation.detection.FaceDetector', lambda *_: detect)
    monkeypatch.setattr(gradio.Blocks, 'launch', lambda self, **_: (None, 'http://127.0.0.1:7860/', None))
    monkeypatch.setenv('GRADIO_TEMP_DIR', '')
    folders = []

    def close_down(self):
        folders.append(Path(os.environ['GRADIO_TEMP_DIR']))
        (folders[0] / 'photo.jpg').write_bytes(b'a photo')
        signal.raise_signal(which)

    monkeypatch.setattr(gradio.Blocks, 'block_thread', close_down)
    model = save_params(tmp_path / 'g.pth', params=small_network())
    # Shells have their background jobs ignore the one, nohup the other.
    ctrl_c, hang_up = (signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGHUP))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        refused(capsys, web.main, '--model', model, '--device', 'cpu', status=130 if which == signal.SIGINT else 143)
        assert not folders[0].exists() and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, ctrl_c)
        signal.signal(signal.SIGHUP, hang_up)


# ----- in a browser -----


@pytest.fixture(scope='module')
def chromium():
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    if BROWSER is None:
        pytest.skip('there is no Chromium here (Debian: apt-get install chromium)')
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=BROWSER, args=['--no-sandbox'])
        yield browser
        browser.close()


@pytest.fixture
def url(page, monkeypatch, tmp_path):
    pytest.importorskip('gradio', reason='gradio is not installed')
    monkeypatch.setenv('GRADIO_TEMP_DIR', str(tmp_path / 'results'))
    blocks = build(page)
    _, url, _ = blocks.launch(server_name='127.0.0.1', quiet=True, ssr_mode=False, prevent_thread_lock=True)
    yield url
    blocks.close()


def test_in_a_browser(chromium, url, photo, kit, tmp_path):
    """One after the other on one page, since starting it takes longest."""
    hosts = set()
    context = chromium.new_context()
    context.set_default_timeout(90_000)
    context.on('request', lambda request: hosts.add(re.split('[/:]+', request.url)[1]))

    def opened():
        tab = context.new_page()
        tab.goto(url)
        tab.wait_for_selector('#photo input[type=file]', state='attached')
        return tab

    def under_slider(tab):
        sources = [image.get_attribute('src') for image in tab.locator('#slider img').all()]
        content = [np.frombuffer(context.request.get(source).body(), np.uint8) for source in sources]
        return [cv2.imdecode(each, cv2.IMREAD_COLOR) for each in content]

    def wait_for(tab, text):
        tab.wait_for_function('text => document.querySelector("#sentence")?.innerText.includes(text)', arg=text)

    tab = opened()
    assert 'What this must not be used for' in tab.inner_text('body')
    assert tab.inner_text('body').count('Do not identify people by it') == 1

    # a text file is refused in a sentence
    (tmp_path / 'notes.txt').write_text('To do: nothing.')
    tab.set_input_files('#photo input[type=file]', str(tmp_path / 'notes.txt'))
    wait_for(tab, 'notes.txt: it is cut short or not an image')
    assert tab.locator('#slider img').count() == 0

    # two uploads at once both come back, each with its own result
    cv2.imwrite(str(tmp_path / 'other.png'), kit.photo(160, 220, seed=3))
    tabs = {photo: opened(), str(tmp_path / 'other.png'): opened()}
    for path, each in tabs.items():
        each.set_input_files('#photo input[type=file]', path)
    for path, each in tabs.items():
        name = os.path.basename(path)
        wait_for(each, f'{name}: 1 of 2 faces restored')
        each.wait_for_selector('#slider img')
        with each.expect_download() as download:
            each.click('#result a[download]')
        result, before = cv2.imread(str(download.value.path())), cv2.imread(path)
        assert download.value.suggested_filename == name and result.shape == before.shape
        changed = (result != before).any(2)
        assert changed[20:50, 20:50].mean() > 0.8
        changed[20:50, 20:50] = False
        assert not changed.any()
        assert np.array_equal(under_slider(each), [before, result])  # bit by bit

    # the slider moves: what is left of it is the photo as it was
    tab = tabs[photo]
    handle, after = tab.locator('#slider [data-testid=slider] .inner'), tab.locator('#slider img').last
    assert 'inset(0px 0px 0px 50%)' in after.get_attribute('style')
    box, area = handle.bounding_box(), tab.locator('#slider img').first.bounding_box()
    tab.mouse.move(box['x'] + box['width'] / 2, box['y'] + box['height'] / 2)
    tab.mouse.down()
    tab.mouse.move(area['x'] + area['width'] * 0.2, box['y'] + box['height'] / 2, steps=5)
    tab.mouse.up()
    share = re.search(r'inset\(0px 0px 0px ([\d.]+)%\)', after.get_attribute('style'))
    assert float(share[1]) == pytest.approx(20, abs=5)

    # a click at a face shows it
    shown = tab.locator('#outlined img')
    box = shown.bounding_box()
    shown.click(position={'x': box['width'] * 35 / 200, 'y': box['height'] * 35 / 150})
    tab.wait_for_selector('#pair img')
    assert '30 pixels in the photo, 30 into the network, 120 out of it' in tab.inner_text('#about')

    # another network, and one that is none
    other = save_params(tmp_path / 'x2.pth', params=small_network(widths=[8], num_block=1))
    tab.set_input_files('#model input[type=file]', other)
    tab.wait_for_function('document.querySelector("#model").innerText.includes("x2")')
    tab.click('#restore')
    wait_for(tab, 'larger than the 32 pixels')
    wrong = save_params(tmp_path / 'd.pth', params=small_network(DomainDiscriminator, num_feat=4))
    tab.click('#model button[aria-label="Clear"]')
    tab.set_input_files('#model input[type=file]', wrong)
    tab.wait_for_function('document.querySelector("#model").innerText.includes("d")')
    tab.click('#restore')
    wait_for(tab, 'd.pth holds a DomainDiscriminator, and a SelfCondSRNet is needed.')
    assert tab.inner_text('#sentence').startswith('d.pth')
    assert tab.locator('#slider img').count() == tab.locator('#result a[download]').count() == 0

    # a film and half a photo are refused in a sentence, too, and the page goes on with the next photo
    tab.click('#model button[aria-label="Clear"]')
    half = Path(photo).read_bytes()[:2000]
    for name, content, said in (
        ('film.mp4', b'\0\0\0\x18ftypmp42' + bytes(99), 'film.mp4: it is a video'),
        ('half.png', half, 'half.png: it is cut short'),
        ('again.png', Path(photo).read_bytes(), 'again.png: 1 of 2 faces restored'),
    ):
        (tmp_path / name).write_bytes(content)
        tab.click('#photo button[aria-label="Clear"]')
        tab.set_input_files('#photo input[type=file]', str(tmp_path / name))
        wait_for(tab, said)
    tab.wait_for_selector('#slider img')
    assert hosts == {'127.0.0.1'}  # nothing is asked of any other machine
