"""Retention: what the ledger may forget once it is older than a deployment keeps things.

What a decision still stands on is kept, without what it says of anybody: a page that the next plan compares with, who
has left. So forgetting never mails, gives or takes anything.
"""

from dataclasses import replace
from datetime import datetime

from sso.hr import Timeline
from sso.model import ObjectId
from sso.page import Page


def is_over(page: Page, before: datetime, *, managed: bool) -> bool:
    """Whether a page may go: one that another replaced, or any of an application that is no longer there."""
    return page.changed < before and page.valid_until < before and (page.state == "replaced" or not managed)


def past(timeline: Timeline, person: ObjectId, before: datetime) -> Timeline:
    """What is left of somebody who left before: that they left, by object ID; of anybody else everything."""
    newest = timeline.facts[0] if timeline.facts else None
    if newest is None or newest.kind != "leaver" or max(newest.time, newest.effective) >= before:
        return timeline
    return Timeline((replace(newest, subject=person, attributes={}),))
