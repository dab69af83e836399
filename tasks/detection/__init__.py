"""Detectors, one family a file; `tasks.detection.base.DETECTORS` names them."""
