"""Groundling: chat with documents, answered by a small model that the company owns."""
