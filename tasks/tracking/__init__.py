"""Trackers, one a file; `tasks.tracking.base.TRACKERS` names them."""
