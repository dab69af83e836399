"""Who is asked and how: what a person sets of model, engine and decoding, wherever a model is asked."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rl.engines.base import Decoding
from rl.engines.open import EngineConfig, EngineName
from rl.engines.payload import Wire
from rl.engines.server import Server, server_from_environment
from rl.models.families import Model
from rl.models.registry import MODEL_NAMES, find_model, served_model


class AskingParameters(BaseModel):
    """A model, the engine that runs it, and how answers are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    model: str = Field(
        title="Model", description=f"{', '.join(MODEL_NAMES)}, or a model's folder; with openai, the name that is served."
    )
    engine: EngineName = Field("transformers", title="Engine", description="Who answers: in this process, vLLM, or a server.")
    max_tokens: int = Field(1024, title="Most tokens", ge=1, le=32_768, description="After which an answer is cut off.")
    temperature: float = Field(0, title="Temperature", ge=0, le=10, description="0 takes the likeliest token.")
    top_p: float = Field(1, title="Top p", gt=0, le=1, description="Share of probability that is drawn from.")
    seed: int = Field(0, title="Seed", ge=0, le=2**31 - 1, description="Of draws, with each sample's key.")
    device: str = Field("auto", title="Device", description="Of transformers: auto, cpu, cuda or cuda:1, say.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", title="Precision", description="Of transformers: auto takes bfloat16 on a GPU, else float32."
    )
    gpus: int = Field(1, title="GPUs", ge=1, le=64, description="Over which vLLM splits the model, or each of its replicas.")
    max_length: int = Field(
        16_384,
        title="Most tokens in all",
        ge=1024,
        le=1_048_576,
        description="Prompt and answer of transformers and vLLM; a prompt without room for an answer fails.",
    )
    family: str = Field("", title="Family", description="Of a served model with an unknown name: qwen2.5-vl, say.")
    wire: Wire = Field("video", title="Frames travel as", description="To a server: a video of JPEGs (vLLM), or images.")
    at_once: int = Field(16, title="Requests at once", ge=1, le=1024, description="To a server.")
    tries: int = Field(5, title="Tries", ge=1, le=100, description="Of a request that meets a rate limit or a server's error.")
    timeout_s: float = Field(300, title="Timeout", gt=0, le=86_400, description="Seconds that a server has for an answer.")

    def asked_model(self) -> Model:
        """The model, with its weights where an engine of ours needs them.

        Raises:
            ModelError, WeightsError: there is no such model, or it is not here.
        """
        return served_model(self.model, self.family) if self.engine == "openai" else find_model(self.model)

    def decoding(self) -> Decoding:
        """How answers are drawn."""
        return Decoding(self.max_tokens, self.temperature, self.top_p, self.seed)

    def engine_config(self, server: Server | None = None) -> EngineConfig:
        """Which engine; a server is that of the environment unless one is given.

        Raises:
            EngineError: no server is named.
        """
        if self.engine == "openai" and server is None:
            server = server_from_environment(**self.server_settings())
        return EngineConfig(self.engine, self.device, self.precision, self.gpus, self.max_length, server)

    def server_settings(self) -> dict[str, Any]:
        """How patiently a server is asked."""
        return {"at_once": self.at_once, "tries": self.tries, "timeout_s": self.timeout_s, "wire": self.wire}
