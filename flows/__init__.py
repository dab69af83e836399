"""Prefect flows, and nothing else that knows Prefect: thin, one file a family of deployments."""
