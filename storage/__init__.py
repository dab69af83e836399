"""Bytes and paths: schemas, shards, the manifest, outcomes and the reader. Knows nothing of video models."""
