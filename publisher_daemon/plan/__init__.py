"""Says what to do to make the portal match the folder; does nothing.

Open attempts are answered first (they may have been done), then this table is read, file by file:

| folder | ledger | portal | action |
|---|---|---|---|
| file | none | pinned by the configuration | `Adopt` as it is, then the lines below |
| file | none | our identity, and our bytes or these | `Adopt`; then `Replace` if they differ |
| file | none | our identity, somebody else's bytes | `Hold` conflict |
| file | none, but one of a gone file with these bytes | any | `Rename` |
| file | none | one unclaimed resource with these bytes | `Adopt` |
| file | none | unclaimed resource of the same name, other bytes | `Hold` same_name |
| file | none | none | `Upload` |
| file, older in its series | none | any | `Hold` superseded |
| file, newest of a one-resource series | that of an older one | any | `Rename`, then as below |
| file | entry | same bytes | `Adopt` if the ledger is behind, then words |
| file | entry | other bytes, as the ledger remembers | `Replace` |
| file | entry | other bytes, not as remembered | `Hold` conflict (`Replace` when asked) |
| file | entry | gone | `Hold` removed (`Upload` when asked) |
| gone | entry | there | `Keep`, then `Identify`; later `Withdraw`, capped, if the folder says so |
| file, out of its series' window | entry | there | as it is; or as if gone |
| gone | entry | gone | `Forget` |
| any | none | there, not ours | never touched |

Why a resource adopted by its pin is adopted with the *portal's* bytes: the next plan then sees a
known resource whose file differs, and the one line that replaces stays the only one.
"""

from __future__ import annotations

from publisher_daemon.model import Folderful, Hold, Plan, Policy, Record, Remote
from publisher_daemon.plan._attempts import answer_attempts, deadline
from publisher_daemon.plan._desk import Desk, action_key, identity_of
from publisher_daemon.plan._following import follow_known_files
from publisher_daemon.plan._gone import allowed_withdrawals, follow_gone_files
from publisher_daemon.plan._placing import place_new_files
from publisher_daemon.plan._refusals import refuse
from publisher_daemon.plan._sentences import dataset_trouble
from publisher_daemon.plan._series import sort_series

__all__ = [
    "action_key",
    "allowed_withdrawals",
    "dataset_trouble",
    "deadline",
    "identity_of",
    "plan",
]


def plan(folder: Folderful, record: Record, remote: Remote, policy: Policy, now: float) -> Plan:
    """Decide. Total, and the same whatever the order of what it is given."""
    stop = dataset_trouble(remote.dataset)
    if stop is not None:
        code, why = stop
        files = folder.files.keys() | {wait.key for wait in folder.waiting}
        return Plan(holds=tuple(Hold(key, code, why) for key in sorted(files)))
    desk = Desk(folder, record, remote, policy, now)
    answer_attempts(desk)
    sort_series(desk)
    refuse(desk)
    place_new_files(desk)
    follow_known_files(desk)
    follow_gone_files(desk)
    return desk.result()
