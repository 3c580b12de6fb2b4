"""The ledger: what the tenant has no place for, in one Azure table.

    partition           row key                          what
    operation           inverted time and a random part  one operation; newest first by itself
    batch:{operation}   0001                             up to 20 changes of access and what became of each
    budget              writes                           until when Graph's write budget is reserved
    idempotency         hash of header, ticket or cause  which operation a repeat belongs to
    intent:{key}        call                             a non-idempotent call that may have been made
    page                SHA-256 of the link's token      a hand-off's page
    acknowledgement     key and credential               who said that a credential is in use
    unreadable          queue and message id             a message that no operation could be made of
    lease               key, or operation without one    one writer per application or event at a time
    person              object id                        what was said about somebody that still matters
    refused             hour, sender and reason          how many webhooks were not taken
    summary             day                              who mails that night's summary, and whether it was mailed
    brake               kind of removal                  what a day has taken away, and whom that stopped

Losing it may make Gatehouse wait, ask again or mail again; it never makes it retire or remove anything. Rows change by
ETag only; `Changed` says that somebody else was first. No row holds a secret.
"""

from clients.ledger.budget import BudgetRows
from clients.ledger.handoffs import Acknowledgement, HandoffRows
from clients.ledger.operations import OperationRows, Repeat, body_hash, new_operation_id, repeat_name
from clients.ledger.people import PersonRow, PersonRows
from clients.ledger.retention import RetentionRows
from clients.ledger.safety import Intent, Lease, SafetyRows
from clients.ledger.summaries import SummaryRows
from clients.ledger.table import TABLE, Changed

__all__ = [
    "TABLE",
    "Acknowledgement",
    "Changed",
    "Intent",
    "Lease",
    "Ledger",
    "PersonRow",
    "Repeat",
    "body_hash",
    "new_operation_id",
    "repeat_name",
]


class Ledger(OperationRows, HandoffRows, SafetyRows, SummaryRows, BudgetRows, PersonRows, RetentionRows):
    """The table of one storage account."""
