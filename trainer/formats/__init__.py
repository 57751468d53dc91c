"""Parts of `trainer export`: how weights are stored, the layouts of other programs, checksums and cards."""
