"""Running generated code: environments, isolation, limits."""
