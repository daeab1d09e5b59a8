"""VIEWS: everything that a person or program reads, made of what rules and ledger know.

Values in, values out: no handler, no SQL, no engine, no clock. Rooms above ask the ledger, pass
what it answered, and print or send what they get. A sentence that somebody reads stands here or
in `rules/refusal.py`.
"""
