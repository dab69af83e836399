"""Runs the command line as `python -m infra.cli`."""

from __future__ import annotations

from infra.cli import main

main()
