"""Configuration of jupyterhub-idle-culler 2 in small mode, which `configure(c)` names."""

from gradienthub.service.culler import arbiter

c = get_config()  # type: ignore[name-defined]  # noqa: F821

# Each minute, so that an interval holds to about a minute; the culler's own limit is not used.
c.IdleCuller.cull_every = 60
c.IdleCuller.timeout = 60
c.IdleCuller.cull_arbiter_hook = arbiter
