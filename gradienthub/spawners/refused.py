"""A refusal as the hub's own exception, with the same words on form, REST and pending page."""

from jupyterhub.spawner import SpawnException

from .. import metrics
from ..rules.refusal import Refused


class StartRefused(SpawnException):
    """Raised in the hub for a Refused, which it counts.

    `reason` is the code: a label of the hub's own metrics, so it is bounded.
    """

    def __init__(self, refused: Refused) -> None:
        super().__init__(
            refused.text,
            reason=refused.code,
            log_message=refused.text.replace("%", "%%"),
            status_code=refused.status,
        )
        self.refused = refused
        metrics.refusals.labels(refused.code).inc()
        # The hub's form and progress stream print these, and log_message only without them.
        self.jupyterhub_message = refused.text
        self.headers: dict[str, str] = {}
        if refused.retry_after is not None:
            self.headers["Retry-After"] = str(round(refused.retry_after.total_seconds()))
