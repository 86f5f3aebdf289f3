"""Hidden units of a network, read off its traced program, and their orders, signs and factors."""
