"""Trackers, one a file; `tasks.track.TRACKERS` names them."""
