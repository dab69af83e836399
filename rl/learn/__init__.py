"""Learning shown small: a model of a million parameters learns to ground, by imitation and then by GRPO, on a CPU."""
