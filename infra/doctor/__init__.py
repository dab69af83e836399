"""`stvg doctor`: what this machine has of all that the project can use, what is missing, and what to do."""
