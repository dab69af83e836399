"""Trackers, one a file; `tasks.trackers.base.TRACKERS` names them."""
