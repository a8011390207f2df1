"""Plans: what other rules would make of what was (R74), and carrying that out (R34 to R36). Decision 0021."""
