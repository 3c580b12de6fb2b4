"""What the vendor's page says after a button was pressed, and with which HTTP status."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sso.handoff_letters import LONGEST_PROBLEM
from sso.page import WRONG_CODES, Outcome


@dataclass(frozen=True)
class Hint:
    """A sentence beside the form, which stays for another try."""

    status: int
    sentence: str
    blames: Literal["code", "text"] | None = None


@dataclass(frozen=True)
class Notice:
    """A page that says one thing and has no form."""

    status: int
    heading: str
    sentence: str
    alarm: bool = False


_ASK = "Ask the sender of your mail for a new hand-off."
_ILL_FORMED = (
    "Enter the ten characters of the code, such as ABCDE-FGHJK. What was entered cannot be a code: a character is"
    " missing or wrong. It was not counted as an attempt."
)

HINTS: Mapping[Outcome, Hint] = {
    "wrong_code": Hint(403, f"That code is wrong. After {WRONG_CODES} wrong codes this page locks.", blames="code"),
    "ill_formed_code": Hint(400, _ILL_FORMED, blames="code"),
    "code_not_sent": Hint(409, "The code of this page has not been sent yet. Try again when it has reached you."),
    "collect_first": Hint(409, "Collect the values first; they can be confirmed once they were shown."),
    "nothing_to_collect": Hint(409, "There is nothing to collect on this page: the values stand in the mail."),
    "activate_first": Hint(409, "Press 'Activate now' first; then test a sign-in, and confirm it."),
    "nothing_to_activate": Hint(409, "There is nothing to activate on this page."),
    "collected_already": Hint(409, f"The values were collected already and are not shown again. Not by you? {_ASK}"),
}
NO_REPORT = Hint(400, "Write what does not fit; an empty report helps nobody. Nothing was sent.", blames="text")
REPORT_TOO_LONG = Hint(400, f"Write at most {LONGEST_PROBLEM} characters. Nothing was sent.", blames="text")

NOTICES: Mapping[Outcome, Notice] = {
    "acknowledged": Notice(200, "Thank you", "Recorded as installed and tested. Nothing is left to do here."),
    "acknowledged_already": Notice(
        200, "This hand-off is done", "It was recorded as installed and tested. Nothing is left to do here."
    ),
    "activates": Notice(
        200,
        "The new certificate is being activated",
        "It signs within a minute or two. Save the form with the new certificate or have the metadata read again now,"
        " and test a sign-in. Then open the link of your newest mail and press 'Installed and tested'.",
    ),
    "activated_already": Notice(
        200,
        "The new certificate is active",
        "'Activate now' was pressed before. Test a sign-in, then press 'Installed and tested' on your newest page.",
    ),
    "told_by_another_mail": Notice(
        409,
        "Another mail is on its way",
        "It tells of the new certificate. Test a sign-in, and confirm on the page of that mail that it works.",
    ),
    "reported": Notice(200, "Thank you", "Your report was mailed to the owner. This page stays open."),
    "locks": Notice(423, "This page is locked", f"Too many wrong codes; the owner was told. {_ASK}", alarm=True),
    "locked": Notice(423, "This page is locked", f"Too many wrong codes were entered. {_ASK}", alarm=True),
    "lapsed": Notice(410, "This page has lapsed", f"Its time is over. {_ASK}"),
    "replaced": Notice(410, "This page was replaced", "A newer link has taken its place: use your newest mail."),
}
# The page is done, so this press came too late to do anything.
DONE_ALREADY = Notice(409, "This hand-off is done", NOTICES["acknowledged_already"].sentence)
UNKNOWN = Notice(
    404, "There is no such page", "Check that the link is complete: it is one line, and mail programs sometimes cut it."
)
MALFORMED = Notice(
    400, "That was not understood", "Open the link of your mail again and use the buttons of the page.", alarm=True
)
BUSY = Notice(503, "Too many at once", "Nothing was changed. Wait a moment and try again.", alarm=True)
UNAVAILABLE = Notice(503, "This page cannot be shown now", f"Nothing was changed. {_ASK}", alarm=True)
LOST = Notice(
    503,
    "The answer was lost",
    f"The code was right and the values count as collected, but they could not be read and are not shown again. {_ASK}",
    alarm=True,
)
NOT_MAILED = Notice(
    503, "The report was not sent", "It could not be mailed. Try again later, or answer the mail you got.", alarm=True
)
