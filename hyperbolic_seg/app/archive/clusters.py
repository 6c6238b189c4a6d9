"""Clusters of Dask: in this process, in processes of this machine, or wherever a scheduler is."""

import asyncio
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

LOCAL = ('threads', 'processes')
"""Schedulers that are started here; anything else is the address of one."""
_SECONDS = 30  # until a scheduler must answer


@contextmanager
def connected(scheduler: str, workers: int) -> Iterator['Client']:
    """Yield a client of a cluster; one that is started here ends with the block.

    Args:
        scheduler: ``'threads'``: one worker in this process. ``'processes'``: a worker process for each worker, which
            starts again when it dies. Else an address such as ``'tcp://login1:8786'``, or the file that a scheduler
            wrote with ``--scheduler-file``.
        workers: Pictures that are predicted at a time, where the scheduler is started here.

    Raises:
        OSError: No scheduler answers at the address.
        ValueError: There are no workers, or the address is not valid.
    """
    from distributed import Client, LocalCluster

    if workers < 1:
        raise ValueError(f'{workers} workers: expected at least 1')
    if scheduler.endswith('.json') and not os.path.exists(scheduler):
        raise FileNotFoundError(f'no file {scheduler} of a scheduler: start it with --scheduler-file {scheduler}')
    if scheduler not in LOCAL:
        known = dict(scheduler_file=scheduler) if scheduler.endswith('.json') else dict(address=scheduler)
        with Client(**known, timeout=_SECONDS) as client:
            yield client
        return
    processes = scheduler == 'processes'
    own: dict[str, Any] = dict(n_workers=workers if processes else 1, threads_per_worker=1 if processes else workers)
    # Dask's pages would be seen by all the network. The memory is the model's, whose size is no leak.
    here = '127.0.0.1:0'
    own |= dict(processes=processes, dashboard_address=here, worker_dashboard_address=here, memory_limit=0)
    cluster = LocalCluster(**own)
    try:
        with Client(cluster) as client:
            yield client
    finally:
        try:
            cluster.close()
        except (TimeoutError, asyncio.TimeoutError):  # two classes before Python 3.11
            warnings.warn('a worker process is slow to end; it ends with this one', stacklevel=1)
