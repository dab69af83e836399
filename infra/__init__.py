"""Where things run and are started: the `stvg` command, the pool of Ray workers, the local Prefect server."""
