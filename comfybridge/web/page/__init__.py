"""The page that people open in a browser: its files, and the addresses that lead to it."""
