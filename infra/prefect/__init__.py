"""A Prefect server on this machine, who may reach it, and what it is set up with."""
