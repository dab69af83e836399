"""Grounding of one sentence in one video: request, tubes by ID repair, a clip with the answer drawn."""
