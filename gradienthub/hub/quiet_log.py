"""No query of an address in the hub's log: tokens and codes may stand there."""

import logging

from ..rules.log_lines import cut_queries

#: Whoever writes addresses of requests: Tornado of refused and failed ones, JupyterHub of all.
LOGGERS = ("tornado.access", "tornado.application", "tornado.general", "gradienthub")


class WithoutQueries(logging.Filter):
    """Leaves out the queries of all that a logger writes. Keeps every record."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True, with the record's words changed where they hold a query."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            return True
        if (quiet := cut_queries(message)) != message:
            record.msg, record.args = quiet, ()
        return True


def leave_out_queries() -> None:
    """Have these loggers leave queries out. Safe to call twice."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(seen, WithoutQueries) for seen in logger.filters):
            logger.addFilter(WithoutQueries())
