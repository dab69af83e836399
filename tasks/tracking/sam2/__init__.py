"""SAM2.1 tracker: drives the modules of the package so that no frame is encoded twice and no step of an object repeated."""
