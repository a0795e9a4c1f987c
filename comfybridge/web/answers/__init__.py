"""From a request to an answer of the accepted form, for any dialect."""
