"""Asking a vision-language model about marked frames: prompts, answers, engines, evaluation."""
