"""Questions that a passage answers, made by rule: each rule writes one kind of question and points at its answer.

    sentences ─► grammar ─┬─► clauses, numbers, people, naming ─┐
    lines     ────────────┴─► lists, tables ────────────────────┴─► wellformed ─► `Asked`

Takes   a passage as the product's loaders write it: `- ` items, one line a table row, headings beside the text.
Gives   `Asked`s whose span is exact: `text[start:end]` is the answer.
Refuses questions that only make sense beside their passage ("What is it?"), and whole sections as answers to "What
        about X?": a measured reader learnt from those to quote openings (docs/experiments.md).
"""
