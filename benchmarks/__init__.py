"""Measurements of what the README claims: each module is one command, its last line one JSON object."""
