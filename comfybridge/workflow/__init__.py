"""Graphs and templates: what is to run, before any server is asked."""
