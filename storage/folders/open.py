"""Opening of folders by path or URL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from storage.folders.folder import Folder, FolderLike, StoreError
from storage.folders.local import LocalFolder


def folder_at(where: FolderLike) -> Folder:
    """Folder at a path or an `s3://` URL.

    Raises:
        StoreError: the URL has another scheme, or no bucket.
    """
    if isinstance(where, Path):
        return LocalFolder(where)
    if not isinstance(where, str):
        return where
    scheme, separator, rest = where.partition("://")
    if not separator:
        return LocalFolder(Path(where))
    if scheme != "s3" or not rest.strip("/"):
        raise StoreError(f"'{where}' cannot be used: give a path, or a URL such as s3://bucket/folder")
    from storage.folders.objects import ObjectFolder

    return ObjectFolder(where)


def resolve_folder(given: str, root: FolderLike) -> Folder:
    """Folder for a user's input: a URL, the path of an existing folder, or a name below `root`.

    Args:
        given: URL, path of an existing folder, or name below `root`.
        root: folder in which names are looked up.
    """
    return folder_at(given) if is_url(given) or Path(given).is_dir() else folder_at(root).child(given)


def is_url(where: FolderLike) -> bool:
    """Whether a location is a URL rather than a path."""
    return "://" in str(where)


def write_json(folder: Folder, name: str, value: Any, durable: bool = True) -> None:
    """Write JSON with sorted keys, atomically.

    Args:
        folder: target folder.
        name: file name below the folder; `/` separates folders.
        value: JSON-serialisable value.
        durable: whether the file is synced to disk before it becomes visible.
    """
    folder.write(name, json_bytes(value), durable)


def json_bytes(value: Any) -> bytes:
    """JSON with sorted keys, in the form used in files."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
