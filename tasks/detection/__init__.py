"""Object detectors, one family per file; `tasks.detection.base.DETECTORS` lists them by name."""
