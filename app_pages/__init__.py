"""The pages of the app and what they share: they draw and call `rag`, nothing else."""
