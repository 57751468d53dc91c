"""Ask a running `rag serve` with OpenAI's own client, as a stream, and show the citations.

rag serve                                                          in another terminal
python examples/openai_client.py "How many days of leave do I have?"
"""

from __future__ import annotations

import argparse

from openai import OpenAI

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("question")
parser.add_argument("--server", default="http://localhost:8000")
given = parser.parse_args()

client = OpenAI(base_url=f"{given.server}/v1", api_key="any word")
stream = client.chat.completions.create(
    model="groundling",
    messages=[{"role": "user", "content": given.question}],
    stream=True,
    extra_body={"groundling": {"footer": False}},  # the citations are read from the last chunk instead
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
    told = (chunk.model_extra or {}).get("groundling")
    if told:
        for citation in told["citations"] or told.get("nearest", []):
            print(f"\n\n{citation['document']}:\n  {citation['quote']}")
