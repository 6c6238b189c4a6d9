"""Requests that are refused before they cost anything, by a real server on a socket."""

import json
import socket
import threading
import time

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from hyperbolic_seg.app.web.guards import BodyLimit, RequestLimit, SameOrigin, SecurityHeaders, client_of
from hyperbolic_seg.app.web.limits import Gate, Limits
from hyperbolic_seg.app.web.server import protocol_class

LIMITS = Limits(
    megabytes=0.05,
    json_bytes=1000,
    requests=4,
    requests_of_client=3,
    body_seconds=1,
    header_seconds=1,
    answer_seconds=1,
)


@pytest.fixture(scope='module')
def server():
    """An application behind the guards; yields its port, an event that lets requests go on, and its connections."""
    app, go_on, gate = FastAPI(), threading.Event(), Gate(1)
    app.add_middleware(BodyLimit, limits=LIMITS)
    app.add_middleware(SameOrigin)
    app.add_middleware(RequestLimit, limits=LIMITS)
    app.add_middleware(SecurityHeaders)

    @app.post('/{path:path}')
    async def length(request: Request):
        return len(await request.body())

    @app.get('/wait')
    def wait():
        go_on.wait(30)

    @app.get('/gate')
    def through_the_gate():
        with gate.enter():
            go_on.wait(30)

    @app.get('/large')
    def large():
        return 'x' * 50_000_000

    listening = socket.create_server(('127.0.0.1', 0))
    config = uvicorn.Config(app, http=protocol_class(LIMITS), log_level='error', timeout_graceful_shutdown=1)
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs=dict(sockets=[listening]))
    thread.start()
    yield listening.getsockname()[1], go_on, running.server_state.connections
    go_on.set()
    running.should_exit = True
    thread.join()


@pytest.fixture
def client(server):
    with httpx.Client(base_url=f'http://127.0.0.1:{server[0]}', timeout=30) as client:
        yield client


@pytest.mark.parametrize(
    'host, origin, taken',
    [
        ('sky.example.org', 'http://sky.example.org', True),
        ('sky.example.org', 'http://sky.example.org:80', True),
        ('sky.example.org', 'https://sky.example.org', True),  # behind a proxy that speaks TLS
        ('Sky.Example.org:8000', 'http://sky.example.org:8000', True),
        ('[::1]:8000', 'http://[::1]:8000', True),
        ('sky.example.org', None, True),  # programs
        ('sky.example.org', 'http://evil.example.org', False),
        ('sky.example.org', 'http://sky.example.org.evil.org', False),
        ('sky.example.org', 'http://sky.example.org@evil.org', False),
        ('sky.example.org:8000', 'http://sky.example.org:8001', False),
        ('127.0.0.1:8000', 'http://127.0.0.1:3000', False),
        ('localhost:8000', 'http://127.0.0.1:8000', False),
        ('localhost:8000', 'null', False),
        ('localhost:8000', '', False),
        ('localhost:8000', 'http://[', False),
        ('localhost', 'file://', False),
    ],
)
def test_requests_from_pages_of_other_origins_are_refused(client, host, origin, taken):
    headers = dict(host=host) if origin is None else dict(host=host, origin=origin)
    assert client.post('/', headers=headers).status_code == (200 if taken else 403)


@pytest.mark.parametrize('site, taken', [('same-origin', 200), ('none', 200), ('same-site', 403), ('cross-site', 403)])
def test_sec_fetch_site_is_respected(client, site, taken):
    assert client.post('/', headers={'sec-fetch-site': site}).status_code == taken


def test_two_origin_headers_are_refused(server):
    host = f'127.0.0.1:{server[0]}'
    head = f'POST / HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nOrigin: http://evil.org\r\n'
    assert b' 403 ' in spoken(server[0], f'{head}Content-Length: 0\r\nConnection: close\r\n\r\n'.encode())


def spoken(port, content, *, then=b'', after=0.0):
    """Send bytes, some of them later; return all that comes until the server closes the connection."""
    with socket.create_connection(('127.0.0.1', port), timeout=30) as connection:
        connection.sendall(content)
        if then:
            time.sleep(after)
            connection.sendall(then)
        found = b''
        while part := connection.recv(65536):
            found += part
        return found


def test_the_limit_of_a_body_depends_on_the_path(client):
    assert client.post('/any', content=bytes(1000)).json() == 1000
    refused = client.post('/any', content=bytes(1001))
    assert refused.status_code == 413 and 'more than 1000 bytes' in refused.json()['detail']
    assert client.post('/api/images', content=bytes(60_000)).json() == 60_000
    assert client.post('/api/images', content=bytes(100_000)).status_code == 413
    assert client.post('/any', content=bytes(1000)).json() == 1000, 'the connection goes on'


def test_a_body_in_chunks_is_refused(server):
    # In one piece: a server that closes while bytes are on their way resets the connection, and the answer is lost.
    head = b'POST /any HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
    answer = spoken(server[0], head + b'5\r\nhello\r\n0\r\n\r\n')
    assert answer.startswith(b'HTTP/1.1 411 ') and b'Content-Length' in answer.split(b'\r\n\r\n')[1]


@pytest.mark.parametrize('length', ['9' * 30, '-1', '+5', '0x10', 'five'])
def test_invalid_content_lengths_are_refused(server, length):
    head = f'POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n'
    assert spoken(server[0], head.encode()).split(b' ')[1] in (b'400', b'413')


def test_a_late_header_closes_the_connection(server):
    for content in (b'', b'POST / HT', b'POST / HTTP/1.1\r\nHost: x\r\nX-Slow: '):
        assert spoken(server[0], content) == b''


def test_a_late_second_request_closes_the_connection(server):
    whole = b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n'
    found = spoken(server[0], whole, then=b'POST / HTTP/1.1\r\nHo', after=0.2)
    assert found.count(b'HTTP/1.1 200') == 1


def test_a_late_body_gets_408(server):
    head = b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n'
    found = spoken(server[0], head + b'half')
    assert b'HTTP/1.1 408' in found and b'did not arrive within 1 s' in found


def test_an_endless_body_is_cut_off(server):
    """After the 413 what comes is dropped, for a time."""
    head = b'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n'
    with socket.create_connection(('127.0.0.1', server[0]), timeout=30) as connection:
        connection.sendall(head)
        assert b' 413 ' in connection.recv(65536)
        with pytest.raises(OSError):
            for _ in range(1000):
                connection.sendall(b'x')
                time.sleep(0.05)


def test_an_answer_that_the_client_does_not_read_is_dropped(server):
    with socket.create_connection(('127.0.0.1', server[0]), timeout=30) as connection:
        connection.sendall(b'GET /large HTTP/1.1\r\nHost: x\r\n\r\n')
        mine = connection.getsockname()
        while not any(one.client == mine for one in [*server[2]]):
            time.sleep(0.05)
        while any(one.client == mine for one in [*server[2]]):
            time.sleep(0.1)  # the test ends when the server has let go of it


def test_too_many_requests_get_503(server, client):
    go_on, answers = server[1], []
    go_on.clear()

    def ask():
        answers.append(httpx.get(f'http://127.0.0.1:{server[0]}/wait', timeout=30))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(answers) < 5:
        time.sleep(0.05)
    go_on.set()
    for thread in threads:
        thread.join()
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == 5 and all(answer.headers['retry-after'] == '5' for answer in refused)
    assert client.post('/any', content=b'').status_code == 200


def test_a_gate_admits_up_to_its_capacity(server):
    go_on, answers = server[1], []
    go_on.clear()

    def ask():
        answers.append(httpx.get(f'http://127.0.0.1:{server[0]}/gate', timeout=30))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not answers:
        time.sleep(0.05)
    go_on.set()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 503]
    assert next(answer for answer in answers if answer.status_code == 503).headers['retry-after'] == '5'


def test_every_answer_has_the_security_headers(server, client):
    found = [client.post('/any'), client.get('/nothing'), client.post('/', headers=dict(origin='null'))]
    found.append(client.post('/any', content=bytes(1001)))
    assert [answer.status_code for answer in found] == [200, 405, 403, 413]
    for answer in found:
        assert answer.headers['x-content-type-options'] == 'nosniff'
        assert "default-src 'none'" in answer.headers['content-security-policy']


def test_clients_are_identified_by_their_address():
    assert client_of(dict(client=('192.0.2.7', 1))) == '192.0.2.7'
    one, other = (client_of(dict(client=(f'2001:db8:0:1::{n}', 1))) for n in (1, 2))
    assert one == other == '2001:db8:0:1::/64'
    assert client_of(dict(client=('2001:db8:0:2::1', 1))) != one
    assert client_of(dict(client=None)) == 'local'


def test_the_origin_is_checked_before_the_body(client):
    refused = client.post('/', headers=dict(origin='http://evil.org'), content=b'{' * 900)
    assert json.loads(refused.content)['detail'] == 'a page of another origin sent this request'
