"""What the audit records."""

from enum import StrEnum


class Action(StrEnum):
    """One kind of audit row. The words are stored, sent by REST and asked for in filters."""

    # A lease's life.
    START = "start"
    REFUSED = "refused"
    OVERRIDDEN = "overridden"
    WARN = "warn"
    EXTEND = "extend"
    WOULD_STOP = "would_stop"
    STOP = "stop"
    SERVER_GIVEN_BACK = "server_given_back"
    # What an account may do and pays.
    TIER = "tier"
    PAYMENT_METHOD = "payment_method"
    APPROVAL_ASKED = "approval_asked"
    APPROVAL_REFUSED = "approval_refused"
    APPROVE = "approve"
    WITHDRAW = "withdraw"
    CREDIT = "credit"
    CREDIT_TAKEN = "credit_taken"
    BUDGET = "budget"
    BUDGET_PASSED = "budget_passed"
    # Whose account it is.
    ACCOUNT_OPENED = "account_opened"
    ACCOUNT_BOUND = "account_bound"
    ACCOUNT_LINKED = "account_linked"
    ACCOUNT_PREPARED = "account_prepared"
    ACCOUNT_UNBOUND = "account_unbound"
    ACCOUNT_MERGED = "account_merged"
    ACCOUNT_CLOSED = "account_closed"
    ACCOUNT_REOPENED = "account_reopened"
    SUBJECT_REFUSED = "subject_refused"
    # Devices and volumes.
    DEVICE_OUT = "device_out"
    DEVICE_BACK = "device_back"
    VOLUME_BOUND = "volume_bound"
    VOLUME_UNBOUND = "volume_unbound"
    VOLUME_REFUSED = "volume_refused"


#: Rows that `gradienthub verify` compares with the money, or that say what an account may owe, was
#: given and took over. They are never pruned.
MONEY = frozenset(
    {
        Action.START,
        Action.TIER,
        Action.PAYMENT_METHOD,
        Action.CREDIT,
        Action.CREDIT_TAKEN,
        Action.BUDGET,
        Action.BUDGET_PASSED,
        Action.ACCOUNT_MERGED,
    }
)
