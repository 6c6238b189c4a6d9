"""The first step of a process that `tests.processes` starts."""

import os
import runpy
import signal
import sys
from pathlib import Path


def become(arguments, cwd, environment, stdout, stderr):
    """Take on the streams, environment and folder of a program, and run it."""
    for number, path in ((1, stdout), (2, stderr)):
        with open(path, 'wb') as stream:
            os.dup2(stream.fileno(), number)
    sys.stdout, sys.stderr = (open(number, 'w', buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)  # shells ignore it for what they start beside them
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    program, sys.argv = arguments[0], arguments
    if program.endswith('.py'):
        sys.path.insert(0, str(Path(program).parent))
        runpy.run_path(program, run_name='__main__')
    else:
        runpy.run_module(program, run_name='__main__', alter_sys=True)
