"""Vision-language models: families, the registry, and tiny models for tests."""
