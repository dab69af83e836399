"""Where things run and are started: the `stvg` command and its forms, Ray, a local Prefect server."""
