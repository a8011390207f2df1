"""Backfills: counting for a badge what was there before it (R77)."""
