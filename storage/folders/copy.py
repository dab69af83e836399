"""Copying the files of one folder into another."""

from __future__ import annotations

import os
from contextlib import suppress

from storage.folders.folder import Folder
from storage.folders.local import LocalFolder


def copy_files(source: Folder, target: Folder) -> None:
    """Copy a folder's own files that the target lacks; JSON records follow the tables that they name.

    On one disk the copies are hard links: files are never changed in place, only replaced.

    Args:
        source: folder whose files are copied; its subfolders are not.
        target: folder to copy to, created if it does not exist.
    """
    present = set(target.names("*"))
    for name in sorted(source.names("*"), key=lambda name: name.endswith(".json")):
        if name not in present and not _linked(source, target, name):
            target.write(name, source.read(name))


def _linked(source: Folder, target: Folder, name: str) -> bool:
    if isinstance(source, LocalFolder) and isinstance(target, LocalFolder):
        target.path.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # another disk, or one without hard links
            os.link(source.path / name, target.path / name)
            return True
    return False
