"""Object trackers, one per file; `tasks.tracking.base.TRACKERS` lists them by name."""
