"""What is done to a video. No Prefect and no Ray: plain functions and small classes, each testable alone."""
