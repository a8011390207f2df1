"""SQL of the members service, by what it is about."""
