"""Ending processes that this process started."""

from __future__ import annotations

from contextlib import suppress

import psutil

STOP_TIMEOUT_S = 20.0


def stop_process_tree(pid: int, timeout_s: float = STOP_TIMEOUT_S) -> None:
    """End a process and all its descendants: terminate it, wait, then kill those that are left.

    Args:
        pid: process ID; a process that has ended already is no error.
        timeout_s: seconds that the process has to end by itself.
    """
    try:
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        parent.terminate()
    except psutil.NoSuchProcess:
        return
    psutil.wait_procs([parent], timeout=timeout_s)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=timeout_s)
