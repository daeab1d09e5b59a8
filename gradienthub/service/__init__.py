"""BESIDE THE HUB: what decides over time who is idle. It asks the hub over HTTP, never by import,
and never touches an engine.
"""
