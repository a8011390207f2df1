"""HTTP routes of the rewards service, one module a feature."""
