"""Arrays in, a figure, table or player out; all of it works without a kernel."""
