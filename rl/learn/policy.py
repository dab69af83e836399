"""The model: Qwen2.5-VL's own classes with a million random parameters, fed and sampled without detours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rl.engines.positions import positions
from rl.learn.scenes import FPS, SIDE
from rl.learn.words import END, NUMBER, TOKENS, VIDEO, tokenizer
from tasks.video.reader import Frames

_PATCH, _MERGE = 14, 2
_CELLS = SIDE // _PATCH
_HIDDEN, _LAYERS = 128, 3
_VISION_HIDDEN, _VISION_LAYERS = 96, 1
_INIT = 0.12
"""Of random weights, standard deviation. At 0.05 three numbers are not tied to three figures in 500 steps, at 0.09 in 150."""
_STEP = 2.0
"""Positions a frame pair, which lasts a second."""


@dataclass(frozen=True, eq=False)
class Policy:
    """A model and its tokenizer.

    Attributes:
        model: of transformers.
        words: tokenizer.
        device: where the model is.
    """

    model: Any
    words: Any
    device: str

    def ids(self, texts: Sequence[str]) -> Any:
        """Tokens, int64 (batch, length); the texts must have one length."""
        import torch

        return torch.tensor([one.ids for one in self.words.encode_batch(list(texts))], device=self.device)

    def positions(self, ids: Any, pairs: int) -> Any:
        """Rotary positions (3, batch, length), the same for every row: texts differ in words, not in shape."""
        import torch

        side = _CELLS // _MERGE
        positions_of_ids = positions(ids[0].cpu().numpy(), iter([((pairs, side, side), _STEP)]), frozenset([NUMBER[VIDEO]]))
        return torch.from_numpy(positions_of_ids).to(self.device)[:, None].expand(3, len(ids), -1)

    def embedded(self, ids: Any, clips: Frames) -> Any:
        """Embeddings (batch, length, hidden) of prompts and what follows them, the clips' pixels in their places."""
        import torch

        body = self.model.model
        grid = torch.tensor([(clips.shape[1] // 2, _CELLS, _CELLS)] * len(clips), device=self.device)
        seen = body.visual(patches(clips).to(self.device), grid_thw=grid).pooler_output
        words = body.get_input_embeddings()(ids)
        return words.masked_scatter((ids == NUMBER[VIDEO])[..., None].expand_as(words), seen)

    def logits(self, embedded: Any, at: Any) -> Any:
        """Logits (batch, length, vocabulary) of what comes after each token."""
        output = self.model.model.language_model(inputs_embeds=embedded, position_ids=at, use_cache=False)
        return self.model.lm_head(output.last_hidden_state)

    def sample(self, embedded: Any, at: Any, limit: int, generator: Any = None) -> Any:
        """Answers to prompts, int64 (batch, up to `limit`), filled up with the end token.

        Args:
            embedded: of the prompts.
            at: their positions.
            limit: tokens.
            generator: draws them at temperature 1; None takes the likeliest.
        """
        import torch

        cache: Any = import_module("transformers").DynamicCache(config=self.model.config.text_config)
        body, out, ended = self.model.model, [], torch.zeros(len(embedded), dtype=torch.bool, device=self.device)
        with torch.no_grad():
            for _ in range(limit):
                output = body.language_model(inputs_embeds=embedded, position_ids=at, past_key_values=cache, use_cache=True)
                chances = self.model.lm_head(output.last_hidden_state[:, -1]).softmax(-1)
                token = torch.multinomial(chances, 1, generator=generator)[:, 0] if generator else chances.argmax(-1)
                token = token.masked_fill(ended, NUMBER[END])
                out.append(token)
                ended = ended | (token == NUMBER[END])
                if ended.all():
                    break
                embedded, at = body.get_input_embeddings()(token[:, None]), at[..., -1:] + 1
        return torch.stack(out, dim=1)

    def texts(self, answers: Any) -> list[str]:
        """Answers as text, without what stands for their end."""
        return [text.partition(END)[0] for text in self.words.decode_batch(answers.tolist(), skip_special_tokens=False)]


def patches(clips: Frames) -> Any:
    """Clips, uint8 (n, frames, height, width, 3), as rows of patches in the order of Qwen2.5-VL's processor; -1 to 1."""
    import torch

    n, pairs = len(clips), clips.shape[1] // 2
    cells = torch.from_numpy(clips).float().div_(127.5).sub_(1)
    half = _CELLS // _MERGE
    cells = cells.view(n, pairs, 2, half, _MERGE, _PATCH, half, _MERGE, _PATCH, 3).permute(0, 1, 3, 6, 4, 7, 9, 2, 5, 8)
    return cells.reshape(n * pairs * _CELLS**2, -1).contiguous()


def new_policy(seed: int) -> Policy:
    """A model with random weights."""
    import torch

    t: Any = import_module("transformers")
    text = {
        "vocab_size": len(TOKENS),
        "hidden_size": _HIDDEN,
        "intermediate_size": 3 * _HIDDEN,
        "num_hidden_layers": _LAYERS,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "bos_token_id": 0,
        "eos_token_id": NUMBER[END],
        "initializer_range": _INIT,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [6, 5, 5]},
    }
    vision = {
        "depth": _VISION_LAYERS,
        "hidden_size": _VISION_HIDDEN,
        "intermediate_size": 3 * _VISION_HIDDEN,
        "num_heads": 4,
        "out_hidden_size": _HIDDEN,
        "initializer_range": _INIT,
        "fullatt_block_indexes": [],
        "window_size": 28,
        "tokens_per_second": round(_STEP * FPS / 2),
    }
    named = {"video_token_id": VIDEO, "image_token_id": "<|image_pad|>"}
    named |= {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>"}
    numbers = {key: NUMBER[token] for key, token in named.items()}
    config = t.Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **numbers)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = t.Qwen2_5_VLForConditionalGeneration(config)
    return Policy(model.to(device), tokenizer(), device)
