"""Instance masks as run-length codes, and boxes."""
