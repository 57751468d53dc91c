"""Parts of `trainer finetune`: rows of each kind as they are shown, their shares, warnings, and what was kept."""
