"""The server ends at a signal, even while a request is in progress."""

import signal
import subprocess
import sys
import time

import httpx

SCRIPT = """
import socket, time
from fastapi import FastAPI
from hyperbolic_seg.app.web.limits import Limits
from hyperbolic_seg.app.web.server import run

app = FastAPI()

@app.get('/quick')
async def quick():
    return 'here'

@app.get('/slow')
def slow():
    print('at work', flush=True)
    time.sleep(600)

listening = socket.create_server(('127.0.0.1', 0))
print(listening.getsockname()[1], flush=True)
run(app, listening, Limits())
"""


def started():
    server = subprocess.Popen([sys.executable, '-c', SCRIPT], stdout=subprocess.PIPE, text=True)
    return server, f'http://127.0.0.1:{server.stdout.readline().strip()}'


def test_sigterm_ends_the_server_while_a_thread_works():
    server, address = started()
    asking = subprocess.Popen([sys.executable, '-c', f'import httpx; httpx.get("{address}/slow", timeout=60)'])
    assert server.stdout.readline().strip() == 'at work'
    assert httpx.get(f'{address}/quick').json() == 'here'
    server.send_signal(signal.SIGTERM)
    assert server.wait(timeout=60) == 0, 'the thread would take ten minutes'
    asking.kill()
    asking.wait()


def test_ctrl_c_ends_an_idle_server_at_once():
    server, address = started()
    while True:
        try:
            assert httpx.get(f'{address}/quick').json() == 'here'
            break
        except httpx.TransportError:
            time.sleep(0.1)
    server.send_signal(signal.SIGINT)
    assert server.wait(timeout=60) == 0
