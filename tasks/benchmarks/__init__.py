"""Benchmarks: one adapter per file, each of which reads annotations into the types of `tasks.benchmarks.samples`."""
