"""Videos: reading frames by index, timelines, sampling, optical flow, and diagnosis of unusable files."""
