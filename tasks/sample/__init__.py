"""The generated benchmark: clips of scripted figures in HC-STVG v2's format and others', with their true tubes and masks."""

from tasks.sample.formats import read_in_format
from tasks.sample.scene import SampleConfig
from tasks.sample.write import generate

__all__ = ["SampleConfig", "generate", "read_in_format"]
