"""SQL of the notify service, a module a feature."""
