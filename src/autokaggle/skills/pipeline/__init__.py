"""From decisions to a plan, and from a plan to candidates' code."""
