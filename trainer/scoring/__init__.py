"""Parts of `trainer evaluate`: pure measures, what a reader made of questions, and the page for people."""
