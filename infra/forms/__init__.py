"""What a person sets: parameter models, shown as forms in the Prefect UI and as `stvg` options."""
