"""Utilities that every layer uses: errors, names, plugins and prefetching."""
