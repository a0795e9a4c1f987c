"""Graphs and templates: what to run, before any server is involved."""
