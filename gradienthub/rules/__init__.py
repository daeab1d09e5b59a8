"""DECIDE: the whole policy of the product as pure functions of values.

Values in, values out. Standard library and pydantic only; `now` is an argument. Nothing here
reads a clock, the environment, a socket or a log, and nothing here is mocked in a test.
"""
