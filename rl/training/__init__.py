"""Training by reinforcement: rows made from a published dataset, and what verl is told of them."""
