"""Assets: files that callers have uploaded for their jobs, and the files that jobs have made."""
