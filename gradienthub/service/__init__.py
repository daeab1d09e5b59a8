"""BESIDE THE HUB, the keeper: what decides over time who is idle, extends holds, tells people, and
serves pages and REST v1. It asks the hub over HTTP, never by import, and never touches an engine.
"""
