"""Listing of a folder of videos in which every file is a video, has a reason why it is none, or is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from storage.folders.folder import FolderLike
from storage.folders.local import LocalFolder
from storage.folders.open import folder_at
from tasks.benchmarks.videos import videos_below
from tasks.video.diagnosis import EXCLUDED
from tasks.video.images import IMAGE_SUFFIXES
from tasks.video.reader import Source

IMAGES = "images"
"""Kind of the files that may be frames of a folder of images."""


@dataclass(frozen=True)
class Listing:
    """Files of a folder, at any depth.

    Attributes:
        sources: files with one of the suffixes, by ID; those that cannot be used have a reason.
        counts: number of the other files, by kind.
    """

    sources: Mapping[str, Source]
    counts: Counter[str] = field(default_factory=Counter)


def list_folder(where: FolderLike, suffixes: frozenset[str]) -> Listing:
    """List the files of a folder.

    A link to a file inside the folder is a file of its own. The files below a link to a folder inside are listed at their own
    place alone. A link that leads out of the folder is not followed.

    Args:
        where: folder, path or `s3://` URL.
        suffixes: lower-case suffixes with a dot of the files that are videos.

    Raises:
        AnnotationError: the folder does not exist.
    """
    folder = folder_at(where)
    if not isinstance(folder, LocalFolder) or not folder.path.is_dir():
        return Listing({name: Source(name, path) for name, path in videos_below(where, suffixes).items()})
    sources: dict[str, Source] = {}
    counts: Counter[str] = Counter()
    root = folder.path.resolve()
    for path in sorted(folder.path.rglob("*")):
        kind = _kind(path, folder.path, root, suffixes)
        if kind in EXCLUDED or kind == "video":
            name = path.relative_to(folder.path).as_posix()
            video_id = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            sources[video_id] = Source(video_id, path, unusable=kind if kind in EXCLUDED else "")
        elif kind:
            counts[kind] += 1
    return Listing(sources, counts)


def _kind(path: Path, folder: Path, root: Path, suffixes: frozenset[str]) -> str:
    """`video`, a reason why a file cannot be used, or the kind of another file; empty for a folder."""
    if path.is_symlink() and path.exists() and not path.resolve().is_relative_to(root):
        return "leads_out" if path.is_dir() or _has_suffix(path, suffixes) else "other files"
    if path.is_dir():
        return "links to folders inside" if path.is_symlink() else ""
    if any(part.startswith(".") for part in path.relative_to(folder).parts):
        return "hidden files"
    if not _has_suffix(path, suffixes):
        return IMAGES if _has_suffix(path, IMAGE_SUFFIXES) else "other files"
    return "video" if _is_utf8(path) else "name_not_utf8"


def _has_suffix(path: Path, suffixes: frozenset[str]) -> bool:
    return PurePosixPath(path.name).suffix.lower() in suffixes


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
