"""VIEWS: everything that a person or program reads, made of what rules and ledger know.

Values in, values out: no handler, no SQL, no engine, no clock. Rooms above ask the ledger, pass
its answer, and print or send what they get. A refusal and a decision bring their own sentence from
`rules/`, and a finding is worded by whoever finds it; all other words that people read are here.
"""
