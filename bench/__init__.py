"""Benchmarks: each prints a table of figures and keeps it in `bench/results/`."""
