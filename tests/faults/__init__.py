"""What goes wrong behind the bridge, and what its callers get: the table of faults, row by row."""
