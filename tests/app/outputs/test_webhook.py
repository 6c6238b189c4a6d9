"""Delivery to a real HTTP server, while it and the client are killed."""

import hashlib
import hmac
import itertools
import json
import multiprocessing
import os
import signal
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer

import numpy as np
import pytest

from hyperbolic_seg.app.outputs.webhook import WebhookOutput, check_webhook, idempotency_key
from hyperbolic_seg.app.watching import Journal
from tests.brokers import free_port

FORK = multiprocessing.get_context('fork')
QUICK = (0.02, 0.1)


class Server(ThreadingHTTPServer):
    """Keeps the requests, and answers with the statuses that it is given, then with 200."""

    def __init__(self, *statuses, headers=(), port=0):
        self.statuses, self.headers, self.requests = list(statuses), dict(headers), []
        super().__init__(('127.0.0.1', port), Handler)
        self.url = f'http://127.0.0.1:{self.server_port}/hook?token=1'
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def lines(self):
        return [json.loads(body) for _, body in self.requests]

    def close(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        body = self.rfile.read(int(self.headers['Content-Length']))
        self.server.requests.append((dict(self.headers, path=self.path), body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        for name, value in {'Content-Length': '0', **self.server.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    """Makes servers, which are closed at the end."""
    opened = []

    def make(*arguments, **options):
        opened.append(Server(*arguments, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def record(number):
    return dict(image=f'{number}.jpg', fractions={'clear sky': 0.1 * number}, note='é\udce9')


def deliver(url, out, numbers=(), *, until=None, **options):
    """Write lines of a journal and hand them over; wait until a condition holds; return what was said."""
    said = []
    with Journal(out) as journal:
        output = WebhookOutput(url, out, said.append, retry_seconds=QUICK, **options)
        for number in numbers:
            output.add(journal.add(f'{number}.jpg', [1, number], record(number)))
        end = time.monotonic() + 20
        while until is not None and not until():
            assert time.monotonic() < end, said
            time.sleep(0.005)
        output.close()
    return said


def progress(out):
    return json.loads((out / 'webhook.json').read_text())


def test_lines_arrive_in_order_as_they_are_in_the_journal(tmp_path, server):
    hook = server()
    assert deliver(hook.url, tmp_path, range(30)) == []
    lines = (tmp_path / 'journal.jsonl').read_bytes().splitlines()
    assert [body for _, body in hook.requests] == lines and len(lines) == 30
    headers = hook.requests[0][0]
    assert headers['Content-Type'] == 'application/json' and headers['path'] == '/hook?token=1'
    assert 'X-Hub-Signature-256' not in headers
    keys = [headers['Idempotency-Key'] for headers, _ in hook.requests]
    assert len(set(keys)) == 30 and keys[0] == f'"{idempotency_key(json.loads(lines[0]))}"'
    assert progress(tmp_path) == dict(lines=30, bytes=(tmp_path / 'journal.jsonl').stat().st_size, refused=0)
    deliver(hook.url, tmp_path, [30])
    assert len(hook.requests) == 31, 'those before are not sent again'


def test_the_signature_is_that_of_github(tmp_path, server):
    """That of their documentation is in the docstring; here the body is that of the request."""
    hook = server()
    deliver(hook.url, tmp_path, [1], secret='a secret')
    ((headers, body),) = hook.requests
    expected = hmac.new(b'a secret', body, hashlib.sha256).hexdigest()
    assert headers['X-Hub-Signature-256'] == f'sha256={expected}'


def test_errors_of_the_server_are_tried_again_in_order(tmp_path, server):
    hook = server(500, 503, 429, 408, 301, headers={'Location': 'http://127.0.0.1:1/'})
    said = deliver(hook.url, tmp_path, range(3), until=lambda: len(hook.requests) == 8)
    assert [line['name'] for line in hook.lines()] == ['0.jpg'] * 6 + ['1.jpg', '2.jpg']
    assert len({headers['Idempotency-Key'] for headers, _ in hook.requests[:6]}) == 1
    assert [text.partition(' answers ')[2].partition(';')[0] for text in said[:4]] == ['500', '503', '429', '408']
    assert 'redirects are not followed' in said[4] and 'takes lines again' in said[5] and len(said) == 6
    assert not any('token' in text for text in said)


@pytest.mark.parametrize(
    ('asked', 'waited'), [('7', 7.0), ('0', QUICK[0]), ('86400', 3600.0), ('Fri, 31 Dec 1999 23:59:59 GMT', QUICK[0])]
)
def test_retry_after_is_kept_to_for_an_hour_at_most(tmp_path, server, asked, waited):
    """The output waits for nothing here, and what it would have waited is kept."""
    hook, found = server(503, headers={'Retry-After': asked}), []

    def wait(condition, is_over, seconds):
        found.append(seconds)
        return is_over()

    deliver(hook.url, tmp_path, [1], until=lambda: len(hook.requests) == 2, wait=wait)
    assert found == [waited]


def test_a_fault_of_the_program_is_said_and_ends_the_delivery_alone(tmp_path, server):
    """A line without a version, which nobody expects in a journal."""
    hook, said = server(), []
    with Journal(tmp_path) as journal:
        output = WebhookOutput(hook.url, tmp_path, said.append, retry_seconds=QUICK)
        with journal.path.open('a') as file:
            file.write('{"name": "a.jpg"}\n')
        output.add(journal.add('1.jpg', [1, 1], record(1)))
        end = time.monotonic() + 20
        while not said and time.monotonic() < end:
            time.sleep(0.005)
        output.add(journal.add('2.jpg', [1, 2], record(2)))
        output.close()
    assert "gets no more lines until the next start: KeyError: 'version'" in said[0]
    assert 'did not take all lines yet' in said[1] and len(said) == 2 and hook.requests == []


def test_a_line_that_is_refused_is_said_recorded_and_left_out(tmp_path, server):
    hook = server(200, 422)
    said = deliver(hook.url, tmp_path, range(3), until=lambda: len(hook.requests) == 3)
    assert len(said) == 1 and 'refuses the record of 1.jpg with 422' in said[0]
    assert progress(tmp_path)['lines'] == 3 and progress(tmp_path)['refused'] == 1
    (refused,) = map(json.loads, (tmp_path / 'webhook_refused.jsonl').read_text().splitlines())
    assert refused == dict(line=2, name='1.jpg', version=[1, 1], status=422)


def test_watching_does_not_wait_for_a_server_that_hangs(tmp_path):
    with socket.create_server(('127.0.0.1', 0)) as listening:  # accepts, and never answers
        url, since = f'http://127.0.0.1:{listening.getsockname()[1]}/', time.monotonic()
        (said,) = deliver(url, tmp_path, range(100))
        assert time.monotonic() - since < 4 and 'did not take all lines yet' in said


def test_an_absent_server_is_said_once_and_nothing_is_lost(tmp_path, server):
    port = free_port()
    said = deliver(f'http://127.0.0.1:{port}/hook', tmp_path, range(20))
    assert 'cannot be reached' in said[0] and 'follow at the next start' in said[1] and len(said) == 2
    assert not (tmp_path / 'webhook.json').exists()
    hook = server(port=port)
    deliver(hook.url, tmp_path, until=lambda: len(hook.requests) == 20)
    assert [line['name'] for line in hook.lines()] == [f'{number}.jpg' for number in range(20)]


def serve(port, log):
    """Append each body and key to a file before the answer; in a process of its own, to be killed."""

    class Logging(Handler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers['Content-Length']))
            line = json.dumps([self.headers['Idempotency-Key'], json.loads(body)['name']]) + '\n'
            os.write(log, line.encode())
            time.sleep(0.001)
            self.send_response(204)
            self.end_headers()

    HTTPServer(('127.0.0.1', port), Logging).serve_forever()


def watch(url, out, first):
    with Journal(out) as journal:
        output = WebhookOutput(url, out, lambda text: None, retry_seconds=QUICK)
        for number in range(first, first + 1000):
            output.add(journal.add(f'{number}.jpg', [1, number], record(number)))
            time.sleep(0.01)


def test_nothing_is_lost_while_server_and_client_are_killed(tmp_path):
    """Each is killed ten times at any moment; repeats have the key of the first try, and the order is kept."""
    out, port, random = tmp_path / 'out', free_port(), np.random.default_rng(0)
    log = os.open(tmp_path / 'received', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    url = f'http://127.0.0.1:{port}/hook'
    for round_ in range(10):
        receiver = FORK.Process(target=serve, args=(port, log))
        client = FORK.Process(target=watch, args=(url, out, 1000 * round_))
        for process in (receiver, client):
            process.start()
        time.sleep(float(random.uniform(0.1, 0.25)))
        for process in (receiver, client) if round_ % 2 else (client, receiver):
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            time.sleep(float(random.uniform(0, 0.05)))
    receiver = FORK.Process(target=serve, args=(port, log))
    receiver.start()
    with Journal(out):
        pass  # removes what the last kill left incomplete
    expected = [json.loads(line) for line in (out / 'journal.jsonl').read_text().splitlines()]
    deliver(url, out, until=lambda: progress(out)['lines'] == len(expected))
    receiver.kill()
    receiver.join()
    received = [json.loads(line) for line in (tmp_path / 'received').read_text().splitlines()]
    first_tries = list(dict.fromkeys((key, name) for key, name in received))
    assert first_tries == [(f'"{idempotency_key(line)}"', line['name']) for line in expected] and len(expected) > 50
    assert [tuple(pair) for pair, _ in itertools.groupby(received)] == first_tries, 'repeats follow the first try'


def test_lines_of_no_picture_are_left_out(tmp_path, server):
    hook, said = server(), []
    with Journal(tmp_path) as journal:
        output = WebhookOutput(hook.url, tmp_path, said.append)
        output.add(dict(name='a.jpg', error='will be tried again: no space'))
        output.add(dict(name='b.jpg', skipped='a FIFO'))
        output.add(journal.add('c.jpg', [1, 2], dict(error='no image')))
        output.close()
    assert [line['name'] for line in hook.lines()] == ['c.jpg'] and said == []


def test_progress_that_is_damaged_or_of_another_journal_is_refused(tmp_path, server):
    hook = server()
    deliver(hook.url, tmp_path, range(3))
    (tmp_path / 'journal.jsonl').write_text('')
    with pytest.raises(ValueError, match=r'webhook.json counts lines that .*journal.jsonl does not have: remove it'):
        WebhookOutput(hook.url, tmp_path, print)
    for content in ('[]', '{"lines": 1}', 'nonsense', '{"lines": -1, "bytes": 0, "refused": 0}'):
        (tmp_path / 'webhook.json').write_text(content)
        with pytest.raises(ValueError, match=r'webhook.json is damaged .*: remove it'):
            WebhookOutput(hook.url, tmp_path, print)
    (tmp_path / 'webhook.json').unlink()
    (tmp_path / 'webhook.json').symlink_to(tmp_path / 'elsewhere')
    with pytest.raises(OSError, match=r'webhook.json is a link'):
        WebhookOutput(hook.url, tmp_path, print)


@pytest.mark.parametrize(
    ('url', 'reason'),
    [
        ('ftp://host/', r'begins with ftp://host: expected https://HOST/PATH'),
        ('host/path', 'expected https://HOST/PATH'),
        ('http:///path', 'expected https://HOST/PATH'),
        ('http://host:99999/', 'cannot be read'),
        (f'http://{"a" * 64}/', 'cannot be read'),
        ('http://host/#part', 'expected https://HOST/PATH'),
        ('http://host/a path', 'characters that no URL has'),
        ('http://user:secret@host/', 'list of processes.*HYPERBOLIC_SEG_WEBHOOK_SECRET'),
    ],
)
def test_a_wrong_url_is_refused(url, reason):
    with pytest.raises(ValueError, match=reason) as refused:
        check_webhook(url)
    assert 'secret@' not in str(refused.value)


def test_a_host_that_cannot_be_one_is_refused(tmp_path):
    with pytest.raises(ValueError, match='cannot be used'):
        WebhookOutput('http://999.1.1.1/', tmp_path, print)


def test_an_empty_secret_is_refused(tmp_path):
    with pytest.raises(ValueError, match='the secret of the webhook is empty'):
        WebhookOutput('http://localhost/', tmp_path, print, secret='')
