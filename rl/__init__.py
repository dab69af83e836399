"""Asking a vision-language model about marked frames, and training it: prompts, answers, rewards, engines, evaluation, verl."""
