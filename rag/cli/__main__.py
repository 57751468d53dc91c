"""`python -m rag.cli` is `rag`: for processes that start another one with the same interpreter."""

from rag.cli import main

main()
