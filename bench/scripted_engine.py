"""An engine for tests and benchmarks that answers with given texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rl.engines.base import EngineIdentity, Request, Response


@dataclass
class ScriptedEngine:
    """Answers each request with the text of its key in `by_key`, or else with `text`; records the requests it receives."""

    text: str = ""
    by_key: Mapping[str, str] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    @property
    def identity(self) -> EngineIdentity:
        """The texts."""
        return {"engine": "scripted", "text": self.text, "by_key": dict(self.by_key)}

    def answer(self, requests: Sequence[Request]) -> list[Response]:
        """The scripted texts, in the order of the requests."""
        self.requests += requests
        return [Response(self.by_key.get(request.key, self.text)) for request in requests]

    def close(self) -> None:
        """Release nothing."""
