"""How flops, memory and time grow with every size, and whether they grow as claimed."""
