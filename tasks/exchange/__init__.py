"""Dataset formats of other tools, one per file: `write` exports, `places` and `read` import."""
