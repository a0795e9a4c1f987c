"""Answers delivered later: jobs, the agents that run them, and webhooks."""
