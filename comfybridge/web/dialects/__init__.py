"""The APIs that the bridge speaks, a folder for each."""
