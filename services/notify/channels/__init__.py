"""Ways to a person, one file each."""
