"""Everything at once, by a seed: what is made to happen, who lives through it, and the judge of their history."""
