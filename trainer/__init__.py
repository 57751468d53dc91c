"""The trainer: from raw text to a grounded model. Imports nothing of `rag`."""
