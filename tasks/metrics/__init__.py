"""Scores by named convention: no number leaves here without the rule it follows, its denominator and what was missing."""
