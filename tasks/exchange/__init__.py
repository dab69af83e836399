"""Layouts of other tools, one file a format: `write` makes an export, `places` and `read` are an import."""
