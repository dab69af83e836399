"""Storage: schemas, shards, the manifest, outcomes and the reader. This package depends on no video model."""
