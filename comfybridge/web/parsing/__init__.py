"""From the bytes of a body to checked values, for any dialect."""
