"""People and what each may do: accounts, groups, tokens, sessions, rights of collections. docs/rights.md explains.

A library without people has one owner, whoever can open its files, and everything works without a name. The first
person makes it a library with accounts: from then on only people who stand in it read anything.
"""
