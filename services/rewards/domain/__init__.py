"""Rules of the rewards service as pure functions."""
