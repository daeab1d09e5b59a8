"""INSIDE JUPYTERHUB, thin: who a person is (authenticator), the REST calls (users_api,
servers_api, lease_api), the pages (pages, notebooks, starts), and what a pass of the hub has to
put right (settle).

Decides nothing and keeps nothing. Never imports `service`.
"""
