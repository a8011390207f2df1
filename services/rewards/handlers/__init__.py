"""What the rewards service does, one module a feature."""
