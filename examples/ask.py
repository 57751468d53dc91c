"""Ask a library from Python and show each quotation where it stands.

python examples/ask.py "How many days of leave do I have?" --index indexes/default
"""

from __future__ import annotations

import argparse
from pathlib import Path

import rag

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("question")
parser.add_argument("--index", type=Path, default=Path("indexes/default"))
parser.add_argument("--model", type=Path, help="a model's folder; the shipped one otherwise")
given = parser.parse_args()

with rag.open(given.index, rag.Settings(index=given.index, model=given.model)) as library:
    answer = library.ask(given.question)
    print(answer.text)
    for citation in answer.citations or answer.nearest:
        document = library.document(citation.document, citation.version)
        assert document.text[citation.start : citation.end] == citation.quote  # byte for byte
        page = "" if citation.page is None else f", page {citation.page}"
        print(f"\n{citation.document}{page}, characters {citation.start} to {citation.end}:\n  {citation.quote}")
