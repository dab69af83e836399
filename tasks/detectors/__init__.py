"""Detectors, one family a file; `tasks.detect.DETECTORS` names them."""
