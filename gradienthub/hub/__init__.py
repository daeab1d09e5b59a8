"""INSIDE JUPYTERHUB, thin: who a person is (authenticator), the hub's REST calls on servers and
our own (api), its pages (pages), and what a start of the hub has to put right (settle).

Decides nothing and keeps nothing. Never imports `service`.
"""
