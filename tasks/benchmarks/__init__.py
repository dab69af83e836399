"""Benchmarks read into one typed form, one adapter a file."""
