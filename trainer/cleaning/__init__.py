"""Parts of `trainer corpus`: each judges, masks, compares or reports one thing about raw text."""
