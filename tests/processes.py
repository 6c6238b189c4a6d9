"""Programs in processes of their own, without the seconds that it takes to import the libraries.

Each process is forked from a server that has imported the libraries and has run nothing. So a program has memory,
environment, standard streams and exit code of its own, as one that a shell starts. What a program imports, and what
libraries print meanwhile, needs `subprocess`.
"""

import multiprocessing
import os
import re
import tempfile
import time
from multiprocessing import forkserver
from pathlib import Path
from subprocess import CompletedProcess

from tests.becoming import become

LIBRARIES = ('hyperbolic_seg.plugin', 'hyperbolic_seg.apis', 'hyperbolic_seg.app.cli.app', 'hyperbolic_seg.app.batch')
CONTEXT = multiprocessing.get_context('spawn' if os.name == 'nt' else 'forkserver')
# The server starts now, before a tool that is tested starts one with libraries of its own.
if os.name != 'nt':
    CONTEXT.set_forkserver_preload(list(LIBRARIES))
    forkserver.ensure_running()


class Program:
    """A running program.

    Args:
        program: Path of a script, or the name of a module as for ``python -m``.
        arguments: Its arguments, turned to text.
        cwd: Its working directory.
        environment: Variables of its environment that differ from this process.
    """

    def __init__(self, program, *arguments, cwd, **environment):
        self._folder = tempfile.TemporaryDirectory()
        self._streams = [Path(self._folder.name) / name for name in ('stdout', 'stderr')]
        self.args = [str(program), *map(str, arguments)]
        self.process = CONTEXT.Process(
            target=become, args=(self.args, str(cwd), dict(os.environ) | environment, *map(str, self._streams))
        )
        self.process.start()

    @property
    def pid(self):
        """Number of the process."""
        return self.process.pid

    def wait_for(self, pattern, *, stream='stdout', timeout=120):
        """Wait for a line of a stream that matches; return the match."""
        path, end = self._streams[('stdout', 'stderr').index(stream)], time.monotonic() + timeout
        while time.monotonic() < end:
            running = self.process.exitcode is None
            text = path.read_text(errors='backslashreplace') if path.exists() else ''
            if found := re.search(pattern + '.*\n', text):
                return found
            assert running, f'{self.args} ended before it printed {pattern}: {self.wait()}'
            time.sleep(0.05)
        raise TimeoutError(f'{self.args} did not print {pattern} in {timeout} s')

    def wait(self, timeout=300):
        """Wait for its end; return what `subprocess.run` does."""
        self.process.join(timeout)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            raise TimeoutError(f'{self.args} did not end in {timeout} s')
        out, err = (stream.read_text(errors='backslashreplace') for stream in self._streams)
        self._folder.cleanup()
        return CompletedProcess(self.args, self.process.exitcode, out, err)


def run(program, *arguments, cwd, **environment):
    """Run a program to its end."""
    return Program(program, *arguments, cwd=cwd, **environment).wait()


def run_ranks(count, script, *arguments, port, cwd):
    """Run a script in several processes that find each other, as ``torch.distributed.run`` starts them."""
    common = dict(WORLD_SIZE=str(count), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    arguments += ('--launcher', 'pytorch')
    ranks = [
        Program(script, *arguments, cwd=cwd, RANK=str(rank), LOCAL_RANK=str(rank), **common) for rank in range(count)
    ]
    return [rank.wait() for rank in ranks]
