"""Answers delivered later: jobs, their results, webhooks, and the agents that run them."""
