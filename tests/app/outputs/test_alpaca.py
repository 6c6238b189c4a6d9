"""The Alpaca server answers a real client, and never says safe or a cover that it does not know."""

import ipaddress
import itertools
import json
import re
import socket
import threading
import time
from datetime import datetime, timedelta, timezone

import alpaca.discovery
import alpaca.management
import httpx
import ifaddr
import pytest
from alpaca.exceptions import (
    AlpacaRequestException,
    InvalidValueException,
    NotConnectedException,
    NotImplementedException,
    ValueNotSetException,
)
from alpaca.observingconditions import ObservingConditions
from alpaca.safetymonitor import SafetyMonitor

from hyperbolic_seg.app.outputs.alpaca import AlpacaOutput, parse_address
from hyperbolic_seg.app.outputs.base import Outputs
from hyperbolic_seg.app.outputs.safety import SafetyOutput
from hyperbolic_seg.app.watching import Journal, watch
from hyperbolic_seg.sky.camera import Moment, SafetyRule, SkyCamera

START = datetime(2025, 1, 31, 22, tzinfo=timezone.utc)
RULE = SafetyRule(cloud_above=4, for_minutes=5, safe_after_minutes=15, no_picture_minutes=5)
SENSORS = [
    *('DewPoint', 'Humidity', 'Pressure', 'RainRate', 'SkyBrightness', 'SkyQuality', 'SkyTemperature', 'StarFWHM'),
    *('Temperature', 'WindDirection', 'WindGust', 'WindSpeed'),
]


def picture(fraction=0.25, *, minute=0.0, **changes):
    """A record of a picture taken some minutes after the start."""
    cloud = dict(fraction=fraction, low=0.0, high=fraction, oktas=round(8 * fraction))
    line = dict(image='a.jpg', name='a.jpg', version=[1, 2], quality='ok', quality_reasons=[], cloud=cloud)
    return line | dict(time=(START + timedelta(minutes=minute)).isoformat()) | changes


class Observatory:
    """Outputs of watch as its options make them, with a clock that only goes on when it is told to."""

    def __init__(self, folder, rule=RULE):
        self.minute, self.said, self.published = 0.0, [], []
        chosen, self.safety, common = [], None, dict(on_error=self.said.append, clock=self.clock)
        if rule is not None:
            self.safety = SafetyOutput(rule, folder, publish=[self.published.append], **common)
            chosen.append(self.safety)
        camera = SkyCamera(latitude=59.94, longitude=10.72, unsafe=rule)
        self.alpaca = AlpacaOutput(camera, self.safety, folder, port=0, **common)
        self.outputs = Outputs([*chosen, self.alpaca], self.said.append)
        self.address = f'127.0.0.1:{self.alpaca.port}'
        self.url = f'http://{self.address}/api/v1'

    def clock(self):
        return Moment(START + timedelta(minutes=self.minute), 60 * self.minute)

    def take(self, *, minutes=1.0, **changes):
        """Take a picture some minutes later."""
        self.minute += minutes
        self.outputs.add(picture(minute=self.minute) | changes)

    def make_safe(self):
        for _ in range(16):
            self.take()
        assert not self.safety.safety().unsafe


def wait_for(condition):
    """Wait until a thread of the outputs has done something."""
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture
def observatory(tmp_path):
    made = Observatory(tmp_path)
    with made.outputs:
        yield made


@pytest.fixture(scope='module')
def lasting(tmp_path_factory):
    """One for tests that add nothing, whose answers to all of them are the same; it is unsafe."""
    made = Observatory(tmp_path_factory.mktemp('out'))
    with made.outputs:
        yield made


def connected(device, observatory):
    client = device(observatory.address, 0)
    client.Connect()
    assert not client.Connecting and client.Connected
    return client


def test_a_client_sees_safe_and_unsafe(observatory):
    client = connected(SafetyMonitor, observatory)
    assert client.IsSafe is False
    observatory.make_safe()
    assert client.IsSafe is True
    observatory.take(quality='refused', cloud=None)
    assert client.IsSafe is False
    observatory.make_safe()
    assert client.IsSafe is True
    observatory.outputs.add(dict(name='b.jpg', error='will be tried again: the share is lost'))
    assert client.IsSafe is False


def test_silence_is_unsafe(observatory):
    client = connected(SafetyMonitor, observatory)
    observatory.make_safe()
    assert client.IsSafe is True
    observatory.minute += 4.9
    assert client.IsSafe is True
    observatory.minute += 0.1
    assert client.IsSafe is False
    observatory.take()
    assert client.IsSafe is False


def test_a_client_that_is_not_connected_gets_false(observatory):
    """As ConformU, the conformance checker of ASCOM, expects: false, and no error."""
    client = SafetyMonitor(observatory.address, 0)
    observatory.make_safe()
    assert client.Connected is False and client.IsSafe is False
    with pytest.raises(NotConnectedException, match='set Connected to True first'):
        _ = client.DeviceState
    client.Connected = True
    assert client.Connected is True and client.IsSafe is True
    client.Disconnect()
    assert client.Connected is False and client.IsSafe is False


def test_one_client_does_not_disconnect_another(observatory):
    """The identity of alpyca's clients is that of the process, so the other one speaks HTTP."""
    client = connected(SafetyMonitor, observatory)
    observatory.make_safe()
    url, other = f'{observatory.url}/safetymonitor/0', dict(ClientID=4294967295)
    httpx.put(f'{url}/connect', data=other)
    assert httpx.get(f'{url}/issafe', params=other).json()['Value'] is True
    httpx.put(f'{url}/connected', data=other | dict(Connected='fAlse'))
    assert httpx.get(f'{url}/issafe', params=other).json()['Value'] is False
    assert client.IsSafe is True


def test_the_cloud_cover_is_that_of_the_last_picture_while_it_is_new(observatory):
    client = connected(ObservingConditions, observatory)
    with pytest.raises(ValueNotSetException, match='no picture has come yet'):
        _ = client.CloudCover
    with pytest.raises(ValueNotSetException):
        client.TimeSinceLastUpdate('')
    observatory.outputs.add(picture(0.375))
    observatory.minute = 3
    assert client.CloudCover == 37.5
    for name in ('', 'CloudCover', 'cloudcover'):
        assert client.TimeSinceLastUpdate(name) == 180
    time = dict(Name='TimeStamp', Value='2025-01-31T22:03:00.000+00:00')
    assert client.DeviceState == [dict(Name='CloudCover', Value=37.5), time]
    observatory.minute = 5
    with pytest.raises(ValueNotSetException, match='no picture for 5 minutes'):
        _ = client.CloudCover
    assert [item['Name'] for item in client.DeviceState] == ['TimeStamp']
    assert client.TimeSinceLastUpdate('CloudCover') == 300


@pytest.mark.parametrize(
    'line, reason',
    [
        (picture(quality='refused', quality_reasons=['all black'], cloud=None), 'is refused: all black'),
        (picture(quality='doubtful', quality_reasons=['wet']), 'is doubtful: wet'),
        (picture(cloud=None), '"clear sky" among the prompts'),
        (picture(minute=-60), 'the picture is 60 minutes old'),
        (dict(name='b.jpg', error='cut short'), 'could not be read'),
    ],
    ids=['refused', 'doubtful', 'no cloud', 'old', 'unreadable'],
)
def test_what_is_not_known_is_no_number(observatory, line, reason):
    client = connected(ObservingConditions, observatory)
    observatory.outputs.add(picture(0.5))
    observatory.outputs.add(dict(name='fifo.jpg', skipped='a FIFO'))
    assert client.CloudCover == 50
    observatory.outputs.add(line)
    with pytest.raises(ValueNotSetException, match=reason):
        _ = client.CloudCover


def test_what_a_camera_does_not_measure_is_not_implemented(lasting):
    client = connected(ObservingConditions, lasting)
    for name in SENSORS:
        for read in (lambda: getattr(client, name), lambda: client.SensorDescription(name)):  # noqa: B023
            with pytest.raises(NotImplementedException, match=name):
                read()
        with pytest.raises(NotImplementedException):
            client.TimeSinceLastUpdate(name)
    with pytest.raises(NotImplementedException):
        client.Refresh()
    assert 'solid angle' in client.SensorDescription('CloudCover')
    for name in ('Rain', ''):
        with pytest.raises(InvalidValueException, match='expected one of CloudCover'):
            client.SensorDescription(name)
    with pytest.raises(InvalidValueException):
        client.TimeSinceLastUpdate('Rain')


def test_the_cover_is_not_averaged(lasting):
    """Alpyca cannot set the period."""
    client, url = connected(ObservingConditions, lasting), f'{lasting.url}/observingconditions/0/averageperiod'
    assert client.AveragePeriod == 0
    httpx.put(f'{lasting.url}/observingconditions/0/connect')
    for hours, error in (('0', 0), ('0.0', 0), ('0.5', 0x401), ('-2.0', 0x401)):
        assert httpx.put(url, data=dict(AveragePeriod=hours)).json()['ErrorNumber'] == error


def test_nothing_is_measured_for_a_client_that_is_not_connected(lasting):
    client = ObservingConditions(lasting.address, 0)
    client.Connected = False
    for name in ('CloudCover', 'AveragePeriod', 'DeviceState', *SENSORS):
        with pytest.raises(NotConnectedException):
            getattr(client, name)
    for call in (
        client.Refresh,
        lambda: client.SensorDescription('CloudCover'),
        lambda: client.TimeSinceLastUpdate(''),
    ):
        with pytest.raises(NotConnectedException):
            call()


@pytest.mark.parametrize('device, version', [(SafetyMonitor, 3), (ObservingConditions, 2)])
def test_what_all_devices_have(lasting, device, version):
    """The versions are those of ASCOM Platform 7."""
    client = device(lasting.address, 0)
    assert client.InterfaceVersion == version and client.SupportedActions == []
    assert (
        'ky camera' in client.Name and 'sky camera' in client.Description and 'hyperbolic_seg' in client.DriverInfo[0]
    )
    assert re.fullmatch(r'\d+\.\d+', client.DriverVersion)
    for call in (client.CommandBlind, client.CommandBool, client.CommandString):
        with pytest.raises(NotImplementedException):
            call('x', True)
    with pytest.raises(NotImplementedException):
        client.Action('x', 'y')


def test_devices_are_listed(lasting):
    assert alpaca.management.apiversions(lasting.address) == [1]
    about = alpaca.management.description(lasting.address)
    assert about['Location'] == '59.94 degrees north, 10.72 degrees east' and about['ManufacturerVersion']
    listed = alpaca.management.configureddevices(lasting.address)
    assert [(one['DeviceType'], one['DeviceNumber']) for one in listed] == [
        ('SafetyMonitor', 0),
        ('ObservingConditions', 0),
    ]
    assert len({one['UniqueID'] for one in listed}) == 2


def test_devices_keep_their_identity_and_differ_from_those_of_other_cameras(tmp_path):
    found = []
    for name in ('a', 'a', 'b'):
        (tmp_path / name).mkdir(exist_ok=True)
        made = Observatory(tmp_path / name)
        with made.outputs:
            found.append([one['UniqueID'] for one in alpaca.management.configureddevices(made.address)])
    assert found[0] == found[1] and not set(found[0]) & set(found[2])


def test_without_a_rule_nothing_says_safe(tmp_path):
    made = Observatory(tmp_path, rule=None)
    with made.outputs:
        listed = alpaca.management.configureddevices(made.address)
        assert [one['DeviceType'] for one in listed] == ['ObservingConditions']
        with pytest.raises(AlpacaRequestException, match='no such device: expected observingconditions/0'):
            _ = SafetyMonitor(made.address, 0).IsSafe
        made.outputs.add(picture(1.0))
        assert connected(ObservingConditions, made).CloudCover == 100
    assert not (tmp_path / 'safety.json').exists()


def test_numbers_of_transactions_are_returned(lasting):
    """Names in a query match in any case; those in a form only as they are."""
    url = f'{lasting.url}/safetymonitor/0'
    first = httpx.get(f'{url}/issafe', params=dict(clienttransactionid=67890, CLIENTID=7, Extra='x')).json()
    second = httpx.put(f'{url}/connect', data=dict(clienttransactionid=67890)).json()
    third = httpx.put(f'{url}/connect', data=dict(ClientTransactionID=4294967295)).json()
    assert [one['ClientTransactionID'] for one in (first, second, third)] == [67890, 0, 4294967295]
    numbers = [one['ServerTransactionID'] for one in (first, second, third)]
    assert 1 <= numbers[0] < numbers[1] < numbers[2]
    assert first['ErrorNumber'] == second['ErrorNumber'] == 0 and first['ErrorMessage'] == '' and 'Value' not in second
    wrong = httpx.get(f'{lasting.url}/observingconditions/0/cloudcover', params=dict(ClientID=5)).json()
    assert wrong['ErrorNumber'] == 0x407 and 'Value' not in wrong


@pytest.mark.parametrize('name', ['ClientID', 'ClientTransactionID'])
@pytest.mark.parametrize('value', ['', '     ', '-12345', 'NASDAQ', '4294967296', '1.0', '१'])
def test_bad_numbers_of_clients_are_refused(lasting, name, value):
    url = f'{lasting.url}/safetymonitor/0'
    for response in (httpx.get(f'{url}/issafe', params={name: value}), httpx.put(f'{url}/connect', data={name: value})):
        assert response.status_code == 400 and f'{name} is no whole number' in response.text


@pytest.mark.parametrize(
    'path, form',
    [
        ('safetymonitor/0/connected', {}),
        ('safetymonitor/0/connected', dict(Connected='')),
        ('safetymonitor/0/connected', dict(Connected='123456')),
        ('safetymonitor/0/connected', dict(connected='True')),
        ('safetymonitor/0/action', dict(Action='x')),
        ('safetymonitor/0/commandblind', dict(Command='x', Raw='maybe')),
        ('safetymonitor/0/issafe', {}),
        ('safetymonitor/1/connect', {}),
        ('observingconditions/0/averageperiod', dict(AveragePeriod='long')),
        ('observingconditions/0/averageperiod', dict(AveragePeriod='nan')),
        ('telescope/0/connect', {}),
    ],
)
def test_requests_that_the_protocol_does_not_allow_are_refused(lasting, path, form):
    httpx.put(f'{lasting.url}/observingconditions/0/connect')
    assert httpx.put(f'{lasting.url}/{path}', data=form).status_code == 400


@pytest.mark.parametrize(
    'path',
    [
        *('safetymonitor/0/IsSafe', 'SAFETYMONITOR/0/issafe', 'safetymonitor/-1/issafe', 'safetymonitor/A/issafe'),
        *('safetymonitor/00/issafe', 'safetymonitor/0/connect', 'dome/0/description', 'safetymonitor/0/descrip'),
        *('observingconditions/0/issafe', 'safetymonitor/0', '../v2/safetymonitor/0/issafe', '../../management/v2'),
    ],
)
def test_addresses_of_nothing_are_refused(lasting, path):
    assert httpx.get(f'{lasting.url}/{path}').status_code in (400, 404)


def test_what_is_too_much_is_refused(lasting):
    url = f'{lasting.url}/safetymonitor/0/connected'
    assert httpx.put(url, data=dict(Connected='x' * 20_000)).status_code == 413
    assert httpx.put(url, data=dict(Connected='True'), headers=dict(Origin='http://evil.example')).status_code == 403
    assert httpx.post(url, data=dict(Connected='True')).status_code == 405
    files = dict(Connected=('a.txt', b'True'))
    assert httpx.put(url, files=files).status_code == 400


def test_pages_tell_the_state(observatory):
    page = httpx.get(f'http://{observatory.address}/setup')
    assert page.status_code == 200 and page.headers['content-type'].startswith('text/html')
    links = re.findall('href="([^"]+)"', page.text)
    assert links == ['/setup/v1/safetymonitor/0/setup', '/setup/v1/observingconditions/0/setup']
    observatory.outputs.add(picture(quality='refused', quality_reasons=['<b>wet</b>'], cloud=None))
    for link in links:
        text = httpx.get(f'http://{observatory.address}{link}').text
        assert 'is refused: &lt;b&gt;wet&lt;/b&gt;' in text
    observatory.outputs.add(picture(0.25))
    assert '25 %' in httpx.get(f'http://{observatory.address}{links[1]}').text
    assert httpx.get(f'http://{observatory.address}/setup/v1/dome/0/setup').status_code == 400


def asked(question, port, *, seconds=2.0):
    """Return the answer of a server to a question for all on this machine, ``None`` if none comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.sendto(question, ('127.255.255.255', alpaca.discovery.port))
        try:
            while (answer := json.loads(client.recv(1024))) != dict(AlpacaPort=port):
                assert answer.keys() == {'AlpacaPort'}, 'that of a server of other tests'
            return answer
        except TimeoutError:
            return None


def test_the_server_is_discovered(lasting):
    assert lasting.said == []
    port = lasting.alpaca.port
    assert asked(b'alpacadiscovery1', port) == dict(AlpacaPort=port)
    for question in (b'alpacadiscovery2', b'alpacadiscovery', b'alpacadiscovery1x', b''):
        assert asked(question, port, seconds=0.1) is None


def test_alpyca_discovers_the_server(lasting, monkeypatch):
    """By a broadcast to the network of this machine alone, for which alpyca needs no second network."""
    here = [one for one in ifaddr.get_adapters() if any(ip.ip == '127.0.0.1' for ip in one.ips)]
    if not here:
        pytest.skip('this system shows no loopback interface, to which a broadcast could go')
    monkeypatch.setattr(alpaca.discovery.ifaddr, 'get_adapters', lambda: here)
    assert lasting.address in alpaca.discovery.search_ipv4(numquery=1, timeout=1)


def test_other_machines_do_not_discover_a_server_for_this_one(lasting):
    own = [ip.ip for one in ifaddr.get_adapters() for ip in one.ips if ip.is_IPv4]
    others = [ip for ip in own if not ipaddress.ip_address(ip).is_loopback]
    if not others:
        pytest.skip('this machine has no address but that of its loopback interface')
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((others[0], 0))
        client.settimeout(0.3)
        client.sendto(b'alpacadiscovery1', (others[0], alpaca.discovery.port))
        with pytest.raises(TimeoutError):
            client.recv(1024)


def test_the_file_and_the_messages_tell_the_state(tmp_path):
    made, file = Observatory(tmp_path), tmp_path / 'safety.json'
    begun = dict(unsafe=True, reason='no picture has come yet', since='2025-01-31T22:00:00.000+00:00')
    times = dict(time='2025-01-31T22:00:00.000+00:00', expires='2025-01-31T22:01:00.000+00:00')
    with made.outputs:
        assert json.loads(file.read_text()) == made.published[-1] == begun | times
        made.make_safe()
        assert json.loads(file.read_text()) == made.published[-1]
        assert (
            made.published[-1]['unsafe'] is False and made.published[-1]['expires'] == '2025-01-31T22:17:00.000+00:00'
        )
        made.minute += 4.5  # within the last minute before it is unsafe, it expires then
        wait_for(lambda: made.published[-1]['time'] == '2025-01-31T22:20:30.000+00:00')
        assert (
            made.published[-1]['unsafe'] is False and made.published[-1]['expires'] == '2025-01-31T22:21:00.000+00:00'
        )
        made.minute += 0.5  # by silence alone
        wait_for(lambda: made.published[-1]['unsafe'])
        assert made.published[-1]['reason'] == 'no picture for 5 minutes'
        assert json.loads(file.read_text()) == made.published[-1]
        made.make_safe()
    ended = json.loads(file.read_text())
    assert ended['unsafe'] is True and ended['reason'] == 'the program was stopped' and made.published[-1] == ended
    changes = [
        after['unsafe'] for before, after in itertools.pairwise(made.published) if before['unsafe'] != after['unsafe']
    ]
    assert changes == [False, True, False, True] and not made.said


def test_what_fails_is_said_and_tried_again(tmp_path):
    """A broker that is away at first, and a folder in the place of the file."""
    calls, said, other = [], [], []

    def publish(state):
        calls.append(state)
        if len(calls) < 3:
            raise ConnectionError('the broker\nis away')

    output = SafetyOutput(RULE, tmp_path, publish=[publish, other.append], on_error=said.append)
    assert said == ['the state of safety could not be told: the broker is away'] and len(other) == 1
    wait_for(lambda: len(calls) == 3)
    (tmp_path / 'safety.json').unlink()
    (tmp_path / 'safety.json').mkdir()
    output.close()
    assert len(said) == 2 and 'safety.json' in said[1] and len(other) == 2
    assert calls[-1]['reason'] == other[-1]['reason'] == 'the program was stopped'
    with pytest.raises(OSError, match='safety.json is a folder'):
        SafetyOutput(RULE, tmp_path, on_error=said.append)


def test_a_closed_server_answers_no_more(tmp_path):
    threads = threading.active_count()
    made = Observatory(tmp_path)
    client = connected(SafetyMonitor, made)
    made.make_safe()
    since = time.monotonic()
    made.outputs.close()
    assert time.monotonic() - since < 2 and threading.active_count() == threads
    with pytest.raises(Exception, match='refused|Failed to establish'):
        _ = client.IsSafe


def test_a_port_that_is_taken_is_an_error(tmp_path, lasting):
    with pytest.raises(OSError, match='in use'):
        AlpacaOutput(SkyCamera(), None, tmp_path, port=lasting.alpaca.port, on_error=print)


def test_lines_of_watch_come_to_the_client(observatory, tmp_path):
    """A lost share is an error that watch does not write into the journal."""
    folder = tmp_path / 'camera'
    folder.mkdir()
    (folder / 'a.jpg').write_bytes(b'x')
    client, found = connected(ObservingConditions, observatory), [picture(0.625), OSError('the share is lost')]

    def predict(file, name):
        if isinstance(found[0], Exception):
            raise found.pop(0)
        return found.pop(0)

    with Journal(tmp_path / 'out') as journal:
        for line in watch(folder, journal, predict, once=True, interval=0.05, settle=0):
            observatory.outputs.add(line)
        assert client.CloudCover == 62.5
        (folder / 'b.jpg').write_bytes(b'x')
        for line in watch(folder, journal, predict, once=True, interval=0.05, settle=0):
            observatory.outputs.add(line)
    with pytest.raises(ValueNotSetException, match='could not be read'):
        _ = client.CloudCover


@pytest.mark.parametrize('text', ['', ':', 'a:', ':b', '65536', 'host:65536', '::1', '[]:1', '1.2.3.4:-1', 'a:१'])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match='expected PORT, HOST or HOST:PORT'):
        parse_address(text)
