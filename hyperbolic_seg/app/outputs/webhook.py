"""Delivery of each line of the journal to a URL, in order and at least once."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hyperbolic_seg.app.outputs.backlog import Backlog
from hyperbolic_seg.app.outputs.base import fault
from hyperbolic_seg.app.watching import name_of
from hyperbolic_seg.files import printable
from hyperbolic_seg.version import __version__

if TYPE_CHECKING:
    import httpx

RETRY_SECONDS = (1.0, 60.0)
"""Shortest and longest time until the next try; it doubles each time."""
Wait = Callable[[threading.Condition, Callable[[], bool], float], bool]
"""Function of a condition, what is waited for and the seconds for it; returns whether it holds."""
_SECONDS_TO_ANSWER = 10.0
_SECONDS_TO_CLOSE = 1.0
_MAX_WAIT = 3600.0  # however long a server asks to wait
_MAX_ANSWER = 2**16  # bytes that are read of an answer, so that its connection serves the next line
_TRY_AGAIN = (408, 429)  # timeout, and too many requests: the only errors of a client that time mends (RFC 9110, 6585)


def check_webhook(url: str) -> str:
    """Return the URL of a webhook if it is one.

    Raises:
        ValueError: It is no HTTP URL, or holds a user or a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or '', parts.port
        host.encode('idna')  # or asking for its address fails
    except ValueError as error:
        raise ValueError(f'the URL of the webhook cannot be read ({error}): expected https://HOST/PATH') from error
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            'the URL of the webhook holds a user or a password, which everybody on this machine could read in the list '
            'of processes: leave them out; HYPERBOLIC_SEG_WEBHOOK_SECRET in the environment signs what is sent'
        )
    if parts.scheme not in ('http', 'https') or not host or parts.fragment:
        raise ValueError(f'the URL of the webhook begins with {parts.scheme}://{host}: expected https://HOST/PATH')
    if not url.isascii() or not url.isprintable() or ' ' in url:
        raise ValueError('the URL of the webhook has characters that no URL has: expected them as %20 and the like')
    return url


def idempotency_key(line: dict[str, Any]) -> str:
    """Return the key of a line of the journal, the same at each try, from its name and version."""
    return hashlib.sha256(json.dumps([name_of(line), line['version']]).encode()).hexdigest()


def signature(secret: str, body: bytes) -> str:
    """Return the value of ``X-Hub-Signature-256`` as GitHub defines it, the HMAC of a body in hexadecimal digits.

    See https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries

    Example:
        >>> signature("It's a Secret to Everybody", b'Hello, World!')
        'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'
    """
    return 'sha256=' + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


class WebhookOutput:
    """Posts each line of the journal to a URL, in a thread of its own, which nothing waits for.

    The body is the line, as ``--json`` prints it. The next line follows when the server has answered with a status of
    2xx. After an error of the network or of the server (5xx), 408, 429 and redirects, which are not followed, the line
    is tried again, at longer and longer intervals. Another 4xx says that the server will never take the line: it is
    said, written to ``webhook_refused.jsonl``, and skipped. ``webhook.json`` holds how far the delivery is. After a
    crash the line that was on its way is sent again, with the same ``Idempotency-Key``
    (draft-ietf-httpapi-idempotency-key-header).

    Args:
        url: The URL, see :func:`check_webhook`.
        out_dir: Folder of the results, with the journal.
        say: Called with messages for people.
        secret: Key of the signature of each body, see :func:`signature`.
        retry_seconds: Shortest and longest time until the next try.
        wait: Waits until the next try as :meth:`threading.Condition.wait_for` does.

    Raises:
        ImportError: httpx is not installed.
        OSError: The journal or the progress cannot be read.
        ValueError: The URL or the secret is not valid, or the progress is damaged or of another journal.
    """

    def __init__(
        self,
        url: str,
        out_dir: str | Path,
        say: Callable[[str], None],
        *,
        secret: str | None = None,
        retry_seconds: tuple[float, float] = RETRY_SECONDS,
        wait: Wait = threading.Condition.wait_for,
    ) -> None:
        self._url, self._say, self._secret = check_webhook(url), say, secret
        if secret == '':
            raise ValueError('the secret of the webhook is empty: expected a text that nobody can guess, or none')
        self._host = 'the webhook at {0.scheme}://{0.netloc}'.format(urlsplit(url))  # the path may be a secret
        self._retry_seconds, self._wait = retry_seconds, wait
        self._backlog = Backlog(out_dir, 'webhook')
        self._client = _make_client(url)
        self._changed = threading.Condition()
        self._end: float | None = None  # when to stop, on the monotonic clock
        self._said: set[str] = set()  # since the last delivery
        self._thread = threading.Thread(target=self._deliver_all, name='webhook', daemon=True)
        self._thread.start()

    def add(self, line: dict[str, Any]) -> None:
        """Take a line that the journal has now; others, of what is no picture or will be tried again, are left out."""
        if 'version' in line:
            with self._changed:
                self._backlog.extend()
                self._changed.notify_all()

    def close(self) -> None:
        """Deliver what waits as long as the server takes it, for a second, and stop."""
        with self._changed:
            self._end = time.monotonic() + _SECONDS_TO_CLOSE
            self._changed.notify_all()
        self._thread.join(_SECONDS_TO_CLOSE)
        if self._backlog.waiting:
            self._say(f'{self._host} did not take all lines yet: the others follow at the next start')

    def _deliver_all(self) -> None:
        failures = 0
        while self._wait_for_lines():
            try:
                wait = self._deliver(self._backlog.next())
            except (OSError, ValueError) as error:  # of the disk
                self._report(f'cannot go on: {error}')
                wait = 0.0
            except Exception as error:  # a fault of the program, which would be the same at each try
                self._say(f'{self._host} gets no more lines until the next start: {fault(error)}')
                break
            failures = 0 if wait is None else failures + 1
            if wait is not None and self._is_closed_within(max(wait, self._backoff(failures))):
                break
        self._client.close()
        self._backlog.close()

    def _deliver(self, line: bytes) -> float | None:
        """Send a line; return the seconds that the server wants to be left alone, ``None`` if the line is done."""
        import httpx

        record = json.loads(line)
        try:
            status, wait = self._post(line, idempotency_key(record))
        except httpx.RequestError as error:
            self._report(f'cannot be reached ({error or type(error).__name__})')
            return 0.0
        if status in _TRY_AGAIN or status >= 500 or status < 200:
            self._report(f'answers {status}')
            return wait
        if 300 <= status < 400:
            self._report(f'answers {status}: redirects are not followed, give the URL that it leads to')
            return wait
        self._finish(line, record, status)
        return None

    def _post(self, body: bytes, key: str) -> tuple[int, float]:
        """Return the status of the answer, and the seconds that it asks to wait."""
        headers = {'Content-Type': 'application/json', 'Idempotency-Key': f'"{key}"'}
        if self._secret is not None:
            headers['X-Hub-Signature-256'] = signature(self._secret, body)
        with self._client.stream('POST', self._url, content=body, headers=headers) as response:
            size = 0
            for piece in response.iter_raw():
                size += len(piece)
                if size > _MAX_ANSWER:
                    break
            asked = response.headers.get('Retry-After', '')
            return response.status_code, min(float(asked), _MAX_WAIT) if asked.isdecimal() else 0.0

    def _finish(self, line: bytes, record: dict[str, Any], status: int) -> None:
        refusal = None
        if status >= 400:
            name = name_of(record)
            refusal = dict(name=name, version=record['version'], status=status)
            self._say(f'{self._host} refuses the record of {printable(name)} with {status}: it is left out')
        elif self._said:
            self._said.clear()
            self._say(f'{self._host} takes lines again')
        try:
            self._backlog.advance(line, refusal)
        except OSError as error:
            self._say(f'{self._host}: its progress cannot be written ({error}), so lines may be sent again')

    def _report(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._say(f'{self._host} {message}; it is tried again and again')

    def _backoff(self, failures: int) -> float:
        shortest, longest = self._retry_seconds
        return min(longest, shortest * 2.0 ** min(failures - 1, 30))

    def _wait_for_lines(self) -> bool:
        """Wait until a line is there; return whether there is time to send it."""
        with self._changed:
            self._changed.wait_for(lambda: self._backlog.waiting or self._end is not None)
            return self._backlog.waiting and (self._end is None or time.monotonic() < self._end)

    def _is_closed_within(self, seconds: float) -> bool:
        with self._changed:
            return self._wait(self._changed, lambda: self._end is not None, seconds)


def _make_client(url: str) -> 'httpx.Client':
    try:
        import httpx
    except ImportError as error:
        raise ImportError("a webhook needs httpx: pip install 'hyperbolic-seg[app]'") from error
    try:
        httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f'the URL of the webhook cannot be used ({error}): expected https://HOST/PATH') from error
    headers = {'User-Agent': f'hyperbolic-seg/{__version__}'}
    return httpx.Client(follow_redirects=False, timeout=_SECONDS_TO_ANSWER, headers=headers)
