"""Look-up of video files by name, in a local folder without leaving it, or below a prefix of an object store."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from storage.folders.cache import RemoteFile
from storage.folders.folder import Folder, FolderLike
from storage.folders.local import LocalFolder
from storage.folders.open import folder_at
from tasks.benchmarks.samples import AnnotationError
from tasks.video.reader import VIDEO_SUFFIXES


def videos_below(where: FolderLike, suffixes: frozenset[str]) -> dict[str, Path | RemoteFile]:
    """Files below a folder with one of the suffixes, by relative path, without links to files outside.

    Args:
        where: folder, path or `s3://` URL.
        suffixes: lower-case suffixes with a dot.

    Raises:
        AnnotationError: the folder does not exist.
    """
    return _listed(folder_at(where), suffixes)[0]


def _listed(folder: Folder, suffixes: frozenset[str]) -> tuple[dict[str, Path | RemoteFile], set[str]]:
    """Files by path below the folder, and the names of links to files outside."""
    if not isinstance(folder, LocalFolder):
        return _objects(folder, suffixes), set()
    if not folder.path.is_dir():
        raise AnnotationError(f"there is no folder of videos '{folder}'")
    root = folder.path.resolve()
    named = [(p.relative_to(folder.path).as_posix(), p) for p in sorted(folder.path.rglob("*")) if _is_one(p.name, suffixes)]
    inside = {name: path for name, path in named if path.is_file() and _stays_below(path, root)}
    return dict(inside), {path.name for _, path in named} - {path.name for path in inside.values()}


def _stays_below(path: Path, root: Path) -> bool:
    # The search does not follow links to folders, so only the file itself can be a link to a file outside.
    return not path.is_symlink() or path.resolve().is_relative_to(root)


def _objects(folder: Folder, suffixes: frozenset[str]) -> dict[str, Path | RemoteFile]:
    files = list(folder.files())
    if not files:  # object stores have no empty folders
        raise AnnotationError(f"there is no folder of videos '{folder}'")
    return {f.name: RemoteFile(f"{folder}/{f.name}", *f[1:]) for f in files if _is_one(f.name, suffixes)}


def _is_one(name: str, suffixes: frozenset[str]) -> bool:
    return PurePosixPath(name).suffix.lower() in suffixes


class Videos:
    """Index of the files of a videos folder by name, in any subfolder."""

    def __init__(self, where: FolderLike, suffixes: frozenset[str] = VIDEO_SUFFIXES) -> None:
        """List the folder.

        Raises:
            AnnotationError: the folder does not exist.
        """
        self.folder = folder_at(where)
        self._by_path, self._outside = _listed(self.folder, suffixes)
        self._by_name: dict[str, Path | RemoteFile] = {}
        for name, path in self._by_path.items():
            self._by_name.setdefault(Path(name).name, path)
        self._by_stem: dict[str, Path | RemoteFile] = {}
        for name, path in self._by_name.items():
            self._by_stem.setdefault(Path(name).stem, path)

    def below(self, path: PurePosixPath, where: str) -> Path | RemoteFile:
        """File at a path of the folder, whether or not it exists.

        Args:
            path: path relative to the folder.
            where: position of the name, for error messages.

        Raises:
            AnnotationError: the path is a link to a file outside the folder.
        """
        if (matches := self._by_path.get(str(path))) is not None:
            return matches
        if not isinstance(self.folder, LocalFolder):
            return RemoteFile(f"{self.folder}/{path}")
        file = self.folder.path / path
        if file.exists() and not file.resolve().is_relative_to(self.folder.path.resolve()):
            raise AnnotationError(f"{where}: the video '{path}' is a link that leads out of '{self.folder}'")
        return file

    def find(self, name: PurePosixPath, where: str) -> Path | RemoteFile | None:
        """File with this name, or with this stem if the name has no video suffix; None if there is none.

        Args:
            name: name in an annotation.
            where: position of the name, for error messages.

        Raises:
            AnnotationError: the file is a link to a file outside the folder.
        """
        if name.name in self._outside:
            raise AnnotationError(f"{where}: the video '{name.name}' is a link that leads out of '{self.folder}'")
        if name.suffix.lower() in VIDEO_SUFFIXES:
            return self._by_name.get(name.name)
        return self._by_stem.get(name.name)
