"""A page that shows how good a model is: scores, the paper beside them, nights, and where and why it fails."""
