"""Prompt templates, and parsers of model responses."""
