"""Parts of `trainer improve`: the bundle, what is learnt from it, tuning, measuring, and the candidate."""
