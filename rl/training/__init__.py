"""Training on a published dataset: rows, recipes, the request and folder of a training, its driver around verl's trainers."""
