"""Documents as they are: hand-made truth for real files, and how well three readers give it back.

truth/      what each file says, written down by looking at it, before any reader was scored on it
derived     files made from others where a kind is rare: pages of filings, scans, turned pages
records     a reader's text as table records, headings and lines
score       truth against text
readers     ours, pypdf and markitdown
"""
