"""A service of a team's own, and the code that calls it."""
