"""Extensions of verl behind its own registries: a CPU platform, a rollout for it, a linear schedule, trainers that report."""

VERL = "0.9.1"
"""The version of verl that this package is written for; `pyproject.toml` pins it."""
