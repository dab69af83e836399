"""Configuration of engines: which one runs, how responses are sampled, and how a server is used."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from storage.common.config import RUNTIME, Config

EngineName = Literal["transformers", "vllm", "openai"]
Precision = Literal["auto", "float32", "bfloat16"]
Wire = Literal["video", "images"]
"""How frames are sent: `video`, as one video of JPEGs with their times, which vLLM understands; `images`, as images with a
time before each, for any server."""

DecodingPreset = Literal["none", "released"]
"""Named decoding: `released` is that of the released evaluate.py, up to 2,048 tokens by the generation settings of the model's
folder (`generation_config.json`)."""
RELEASED_TOKENS = 2048


class EngineConfig(Config):
    """Engine that runs the model."""

    name: EngineName = Field(
        "transformers",
        title="Engine",
        description="Engine that runs the model: transformers in this process, vLLM, or any OpenAI-compatible server.",
    )
    device: str = Field(
        "auto", title="Device", description="Device of transformers: auto, cpu, cuda, or one GPU such as cuda:1."
    )
    precision: Precision = Field(
        "auto",
        title="Precision",
        description="Number format of the weights in transformers; auto is bfloat16 on a GPU and float32 elsewhere.",
    )
    gpus: Annotated[int, RUNTIME] = Field(
        1, title="GPUs", ge=1, le=64, description="Number of GPUs that vLLM splits the model over, for each replica."
    )
    max_length: int = Field(
        16_384,
        title="Maximum length",
        ge=1024,
        le=1_048_576,
        description="Maximum tokens of prompt and answer in transformers and vLLM; a prompt without room for an answer fails.",
    )


class DecodingConfig(Config):
    """Sampling of responses."""

    max_tokens: int = Field(
        1024, title="Maximum tokens", ge=1, le=32_768, description="Maximum tokens of a response; a longer one is cut off."
    )
    temperature: float = Field(0, title="Temperature", ge=0, le=10, description="Sampling temperature; 0 is greedy decoding.")
    top_p: float = Field(1, title="Top p", gt=0, le=1, description="Probability mass that tokens are sampled from.")
    seed: int = Field(0, title="Seed", ge=0, le=2**31 - 1, description="Sampling seed, combined with the key of each sample.")
    preset: DecodingPreset = Field(
        "none",
        title="Preset",
        description="Named settings in place of these: released decodes as the released evaluation does, none keeps them.",
    )

    @property
    def token_limit(self) -> int:
        """Maximum number of tokens of a response."""
        return RELEASED_TOKENS if self.preset == "released" else self.max_tokens

    def shaping(self) -> dict[str, JsonValue]:
        """The settings that shape a response, as they are part of keys; an unused preset is left out."""
        return self.model_dump(
            mode="json", exclude={"preset"} if self.preset == "none" else {"max_tokens", "temperature", "top_p"}
        )


class ServerConfig(Config):
    """Requests to a server, for the engine openai."""

    family: str = Field("", title="Family", description="Family of a served model whose name is not known, such as qwen2.5-vl.")
    wire: Wire = Field(
        "video", title="Frames", description="How frames are sent: as a video of JPEGs, for vLLM, or as images, for any server."
    )
    concurrency: Annotated[int, RUNTIME] = Field(
        16, title="Concurrency", ge=1, le=1024, description="Maximum concurrent requests to a server."
    )
    attempts: Annotated[int, RUNTIME] = Field(
        5, title="Attempts", ge=1, le=100, description="Attempts per request on rate limits, timeouts and server errors."
    )
    timeout_s: Annotated[float, RUNTIME] = Field(
        300, title="Timeout", gt=0, le=86_400, description="Seconds that a server has for one answer."
    )
