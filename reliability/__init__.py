"""The scoreboard: what production does to channel, servers and gateway, in figures that anyone can reproduce."""
