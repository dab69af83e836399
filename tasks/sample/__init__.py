"""Generated benchmark: clips of scripted figures, in formats of several benchmarks, with true tubes and masks."""

from tasks.sample.formats import read_in_format
from tasks.sample.scene import SampleConfig
from tasks.sample.write import generate

__all__ = ["SampleConfig", "generate", "read_in_format"]
