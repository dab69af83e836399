"""Folders with atomic writes: on disk, or below a prefix of an object store, with a local cache."""
