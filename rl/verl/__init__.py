"""What verl lacks for this project, behind its own registries: a CPU platform, a rollout for it, a linear schedule."""

VERL = "0.9.1"
"""The version that this is written for; `pyproject.toml` pins it."""
