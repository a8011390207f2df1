"""SQL of the events service, by what it is about."""
