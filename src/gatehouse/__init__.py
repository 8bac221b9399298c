"""Gatehouse: the road from a pull request to a model in production, and the gates on it."""

__version__ = "0.1.0"
