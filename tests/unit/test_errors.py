"""What can go wrong says what, what to do, and what the portal's support asks for."""

from __future__ import annotations

from publisher_daemon.errors import Exchange, LedgerBusy, PortalBusy, PortalRefused


def test_an_error_says_what_its_class_says_unless_told_otherwise() -> None:
    assert str(LedgerBusy()) == "Another instance already uses this state directory."
    assert str(LedgerBusy("Taken.", hint="Stop it.")) == "Taken."
    assert LedgerBusy("Taken.", hint="Stop it.").hint == "Stop it."


def test_a_portal_s_error_carries_its_exchange() -> None:
    exchange = Exchange(
        "POST", "https://portal.example", "now", "t" * 32, status=423, sentry_id="s"
    )

    error = PortalBusy(exchange=exchange, retry_after=5.0)

    assert (error.status, error.sentry_id, error.retry_after) == (423, "s", 5.0)


def test_a_portal_s_error_without_an_answer_has_no_status() -> None:
    assert (PortalRefused().status, PortalRefused().sentry_id) == (None, None)
