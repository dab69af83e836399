"""SAM2.1 as a tracker: its modules, driven so that no frame is encoded twice and no object's step repeated."""
