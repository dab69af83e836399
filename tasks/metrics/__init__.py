"""Metrics by named convention; each result states its convention, its denominator and the number of missing predictions."""
