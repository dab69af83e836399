"""Agent loop of verl that repeats the times of a video's frames in the request, since vLLM drops those of the video."""

from __future__ import annotations

from typing import Any

from verl.experimental.agent_loop.agent_loop import register
from verl.experimental.agent_loop.single_turn_agent_loop import SingleTurnAgentLoop

from rl.prompts.templates import Message
from rl.verl.private import overrides

AGENT = "timed_single_turn"
"""Name in verl's registry, by which a row selects the loop."""


@register(AGENT)
class TimedTurn(SingleTurnAgentLoop):
    """verl's single turn with the times of the frames among the request's `mm_processor_kwargs`."""

    async def process_multi_modal_info(self, messages: list[Message]) -> Any:
        """Frames and times of a prompt; the times are kept for the request.

        Args:
            messages: the prompt's message list.
        """
        media: Any = await super().process_multi_modal_info(messages)
        self._times = [times for _, times in media["videos"]]
        return media

    @overrides("verl.experimental.agent_loop.agent_loop.AgentLoopBase._get_mm_processor_kwargs")
    def _get_mm_processor_kwargs(self, audio_data: list[Any] | None = None) -> Any:
        return {**super()._get_mm_processor_kwargs(audio_data), "video_metadata": self._times}
