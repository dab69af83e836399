"""Incremental writing of JSON objects with long lists, without holding the lists in memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import JsonValue


class JsonListWriter:
    """Writer of the lists of one JSON object."""

    def __init__(self, files: Mapping[str, IO[str]]) -> None:
        self._files = files
        self.counts = dict.fromkeys(files, 0)

    def add(self, name: str, item: Any) -> int:
        """Append an item to a list and return the new length.

        Args:
            name: name of the list.
            item: JSON-serialisable value.
        """
        self._files[name].write(("," if self.counts[name] else "") + "\n" + json.dumps(item, ensure_ascii=False))
        self.counts[name] += 1
        return self.counts[name]


@contextmanager
def json_list_writer(path: Path, names: Sequence[str], head: Mapping[str, JsonValue]) -> Iterator[JsonListWriter]:
    """Write `{**head, name: [...], ...}` to a file, which becomes complete at the end of the block.

    Args:
        path: target file.
        names: names of the lists, in order.
        head: other entries, written first.
    """
    parts = [path.with_name(f"{path.name}.{name}.part") for name in names]
    with ExitStack() as stack:
        yield JsonListWriter({name: stack.enter_context(part.open("w")) for name, part in zip(names, parts, strict=True)})
    with path.open("w") as target:
        target.write("{" + "".join(f"\n{json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()))
        for number, (name, part) in enumerate(zip(names, parts, strict=True)):
            target.write(f"{',' if number else ''}\n{json.dumps(name)}: [")
            with part.open() as lines:
                shutil.copyfileobj(lines, target)
            target.write("]")
            part.unlink()
        target.write("}\n")
