"""Erasing a member (R11): what is theirs alone goes, what others share stays under a pseudonym."""
