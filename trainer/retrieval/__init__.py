"""Parts of `trainer embedder`: pairs, batches and loss, rounds of training, and the folder that carries the result."""
