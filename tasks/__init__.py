"""Processing of videos and datasets as plain functions and small classes, without Prefect and Ray."""
