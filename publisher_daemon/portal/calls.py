"""One request, one answer: or the error that says what the caller does next.

What decides is whether the portal can have done it. Before the body's end is released, nothing can
have happened; after it, only an answer tells. The key goes to the portal's own origin and nowhere
else, and is replaced by ``***`` in everything that is kept for people.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NoReturn
from urllib.parse import urlencode, urlsplit

import requests
import urllib3.exceptions

from publisher_daemon import __version__
from publisher_daemon.errors import (
    ConfigInvalid,
    CredentialRefused,
    Exchange,
    NotThere,
    OutcomeUnknown,
    PortalBusy,
    PortalRefused,
    PortalUnreachable,
)
from publisher_daemon.portal import answers
from publisher_daemon.portal.addresses import (
    base_of,
    origin,
    shown_origin,
    spoken,
    without_query,
)
from publisher_daemon.portal.body import BodyFailed, Document, Outgoing
from publisher_daemon.portal.transport import Timeouts, Transport
from publisher_daemon.portal.troubles import explained, short

#: without build numbers: the portal remembers the first 20 agents of a key (portal-facts §1.7)
USER_AGENT = "publisher-daemon/" + ".".join(__version__.split(".")[:2])

#: what the network raises, through all its layers
_NETWORK = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)
_BLOCK = 65536
#: an answer of the API larger than this is not one: 100,000 resources are some 85 MB
_MAX_ANSWER = 512 * 2**20
#: of an answer's text: how much is kept, and how much looked at for that; a list has a hundred
#: times as much
_KEPT_BODY, _LOOKED_AT = 4096, 16384
#: of an exchange's headers: how many, and how long each may be
_KEPT_HEADERS, _KEPT_VALUE = 50, 1000
_HIDDEN = "***"
_SECRET_HEADERS = frozenset({"x-api-key", "authorization", "proxy-authorization", "set-cookie"})
_BETWEEN = "Check `[portal] url`, and whether something stands between here and the portal."
#: no file is to blame for these, and they may be over at any moment (407 is a proxy's)
_FOR_NOW = frozenset({407, 408, 417, 421, 425})
_NAME_YOURSELF = "A proxy asks who is there: give `[portal] proxy` its user and password."
#: a list is read by so many at a time
_PAGE = 100
#: a million of anything is in no list of a portal
_MOST_PAGES = 10_000


@dataclass(slots=True)
class Answer:
    """A final answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    exchange: Exchange


class Caller:
    """Makes requests to one portal with one key; safe for several threads."""

    def __init__(
        self,
        url: str,
        api_key: str | None,
        *,
        transport: Transport,
        timeouts: Timeouts,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        reason: str,
        on_exchange: Callable[[Exchange], None] | None,
        on_wait: Callable[[float], None],
        hide: Callable[[str], str],
    ) -> None:
        self.base = base_of(url)
        self._origin = origin(self.base)
        self._key = _key(api_key)
        self._transport = transport
        self._timeouts = timeouts
        self._clock = clock
        self._monotonic = monotonic
        self._reason = reason
        self._on_exchange = on_exchange
        self._on_wait = on_wait
        self._hide = hide
        self._expect = True

    def __repr__(self) -> str:
        return f"Caller({self.base!r})"

    @property
    def expect(self) -> bool:
        """Whether the portal answers ``100 Continue`` when it is asked to."""
        return self._expect

    def ours(self, url: str) -> bool:
        """Whether this URL is the portal's own."""
        return origin(url) == self._origin

    # -------------------------------------------------------------------------------------- reads

    def read(self, path: str, *, silence: float | None = None) -> Any:
        """GET and parse JSON; raises PortalUnreachable when it cannot be parsed."""
        answer = self.ask("GET", self.base + path, silence=silence)
        if answer.status >= 300:
            self.refuse(answer, wrote=False)
        return self.parsed(answer)

    def pages(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Every page of a v2 list.

        ``next_page`` only says whether there is one: its address is the server's idea of itself,
        where the key must not follow it. Raises PortalUnreachable when the list does not end.
        """
        begun: set[str] = set()
        for number in range(1, _MOST_PAGES + 1):
            asked = urlencode({**query, "page": number, "page_size": _PAGE})
            page = self.read(f"{path}?{asked}")
            if not (isinstance(page, Mapping) and isinstance(page.get("data"), list)):
                raise PortalUnreachable(
                    f"the portal's answer to GET {path} is not a page of a list", hint=_BETWEEN
                )
            yield page
            if not page.get("next_page"):
                return
            begins = _identity(page["data"])
            if begins in begun:
                break
            begun.add(begins)
        raise PortalUnreachable(
            f"the portal's list at {path} does not end: after page {number} it names a next one",
            hint=_BETWEEN,
        )

    def parsed(self, answer: Answer) -> Any:
        """The JSON of a read's answer; raises PortalUnreachable when it cannot be parsed."""
        try:
            return answers.document(answer.body)
        except ValueError:
            pass
        raise PortalUnreachable(
            f"the portal's answer to GET {urlsplit(answer.exchange.url).path} is not JSON: "
            f"{answers.words(answer.body, answer.headers.get('Content-Type', ''))!r}",
            hint=_BETWEEN,
            exchange=answer.exchange,
        )

    def ask(self, method: str, url: str, *, silence: float | None = None) -> Answer:
        """GET or HEAD, whatever the status; redirects are not followed.

        Asked a second time when the connection breaks: reads change nothing, and a kept connection
        may be closed by the portal just while it is used.
        """
        silence = silence or self._timeouts.read
        try:
            return self._once(method, url, None, silence)
        except _Broken:
            return self._once(method, url, None, silence)

    def stream(self, url: str) -> tuple[requests.Response, Exchange]:
        """GET whose body is left to be read by the caller, who closes it."""
        request = self._prepared("GET", url, None)
        return self._sent(request, None, self._timeouts.read)

    # ------------------------------------------------------------------------------------- writes

    def write(
        self, method: str, path: str, body: Outgoing | None = None, *, silence: float
    ) -> Answer:
        """Send a write once; raises unless the portal says that it is done."""
        body = body if body is not None else Document()
        answer = self._once(method, self.base + path, body, silence)
        if answer.status == 417:
            self._expect = False
        if answer.status >= 300:
            self.refuse(answer, wrote=body.released and not body.early)
        if body.early:
            raise OutcomeUnknown(
                f"the portal answered {answer.status} before it had everything",
                exchange=answer.exchange,
            )
        return answer

    def written(
        self, method: str, path: str, body: Outgoing | None = None, *, silence: float
    ) -> Any:
        """Send a write once and parse its JSON; raises OutcomeUnknown when it cannot be parsed."""
        answer = self.write(method, path, body, silence=silence)
        try:
            return answers.document(answer.body)
        except ValueError:
            pass
        raise OutcomeUnknown(
            f"the portal's answer {answer.status} to {method} {path} cannot be read",
            exchange=answer.exchange,
        )

    # -------------------------------------------------------------------------------------- errors

    def refuse(self, answer: Answer, *, wrote: bool) -> NoReturn:
        """Raise what an answer that is no success means. ``wrote``: it may have been done."""
        status, exchange = answer.status, answer.exchange
        kind = answer.headers.get("Content-Type", "")
        said = answers.words(answer.body, kind, self._redacted)
        told = f"{status}: {said}" if said else f"{status}"
        asked = f"{exchange.method} {urlsplit(exchange.url).path}"
        if status < 400:
            where = answer.headers.get("Location", "")
            raise PortalRefused(
                f"the portal at {self.base} sends {asked} elsewhere ({status} to "
                f"{self._redacted(shown_origin(where)) or 'nowhere'})",
                hint="The address in `[portal] url` is probably wrong: write the one the portal "
                "itself uses.",
                exchange=exchange,
            )
        if status == 401:
            raise CredentialRefused(
                f"the portal refuses the API key ({told})",
                hint="Make a new key in the portal's account page, put it in place of this one "
                "and restart the service.",
                exchange=exchange,
            )
        if status == 423:
            raise PortalBusy(
                f"the portal is read-only for now ({told})",
                hint="It is being maintained: it takes no file, but still takes titles and other "
                "words. Nothing is lost: what is published stays, and what waits goes by itself "
                "once it is open again. If that takes days, ask the portal's support.",
                exchange=exchange,
                retry_after=None,
            )
        if status in {429, 503} and not (wrote and status == 503):
            raise PortalBusy(
                f"the portal asks to come back later ({told})",
                exchange=exchange,
                retry_after=answers.retry_after(
                    answer.headers.get("Retry-After"),
                    # a date is the portal's, and so counted by its own clock: ours may be off
                    answers.http_date(answer.headers.get("Date")) or self._clock(),
                ),
            )
        if status >= 500 and wrote:
            raise OutcomeUnknown(
                f"the portal failed after it had everything ({told})", exchange=exchange
            )
        if status >= 500 or status in _FOR_NOW:
            raise PortalUnreachable(
                f"the portal fails on {asked} ({told})",
                hint=_NAME_YOURSELF if status == 407 else None,
                exchange=exchange,
            )
        if status in {404, 410}:
            raise NotThere(f"the portal has nothing at {asked} ({told})", exchange=exchange)
        hint = None
        if status == 403:
            hint = "The key's owner needs the right to edit this dataset."
        elif status == 413:
            hint = "The portal takes no file of this size."
        raise PortalRefused(f"the portal refuses {asked} ({told})", hint=hint, exchange=exchange)

    # ------------------------------------------------------------------------------------ one call

    def _once(self, method: str, url: str, body: Outgoing | None, silence: float) -> Answer:
        request = self._prepared(method, url, body)
        if body is None:
            self._on_wait(silence)
        else:
            body.on_release = lambda: self._on_wait(silence)
        response, exchange = self._sent(request, body, silence)
        trouble: Exception | None = None
        content = bytearray()
        try:
            self._read_into(content, response, silence)
        except _NETWORK as error:
            trouble = error
        finally:
            response.close()
        # a refusal is one, whatever became of its text: an early one is often cut short
        if trouble is not None and response.status_code < 400:
            self._lost(trouble, exchange, body)
        exchange = self._with_answer(exchange, response, bytes(content))
        self._tell(exchange)
        return Answer(response.status_code, response.headers, bytes(content), exchange)

    def _sent(
        self, request: requests.PreparedRequest, body: Outgoing | None, silence: float
    ) -> tuple[requests.Response, Exchange]:
        exchange = self._exchange(request)
        trouble: Exception
        try:
            return self._transport.send(request, silence), exchange
        except BodyFailed as failed:
            trouble = failed
        except _NETWORK as error:
            trouble = error
        finally:
            if body is not None and body.expect_ignored:
                self._expect = False
        # outside of the handlers: requests' exceptions hold the headers, so the key
        if isinstance(trouble, BodyFailed) and trouble.__cause__ is not None:
            raise trouble.__cause__
        return self._lost(trouble, exchange, body)

    def _lost(self, error: Exception, exchange: Exchange, body: Outgoing | None) -> NoReturn:
        """Raise what a request without (whole) answer means."""
        self._tell(exchange)
        trouble = explained(error)
        host = urlsplit(exchange.url).netloc
        why = self._redacted(trouble.why)
        if body is not None and body.released:
            raise OutcomeUnknown(
                f"the answer of {host} to {exchange.method} was lost: {why}",
                hint=trouble.hint,
                exchange=exchange,
            )
        kind = _Broken if trouble.broken and body is None else PortalUnreachable
        raise kind(f"{host} does not answer: {why}", hint=trouble.hint, exchange=exchange)

    def _prepared(self, method: str, url: str, body: Outgoing | None) -> requests.PreparedRequest:
        trace = secrets.token_hex(16)
        headers = {
            "User-Agent": USER_AGENT,
            "Accept": "application/json" if self.ours(url) else "*/*",
        }
        if self.ours(url):
            # the server's Sentry event carries them: the way to correlate (portal-facts §11.8)
            headers["sentry-trace"] = f"{trace}-{secrets.token_hex(8)}-1"
            headers["X-Request-ID"] = trace
            if self._key is not None:
                headers["X-API-KEY"] = self._key
        try:
            request = requests.Request(method, url, headers=headers).prepare()
        except (requests.RequestException, ValueError) as error:
            unusable = short(error)
        else:
            unusable = "" if spoken(request.url or "") else "neither http nor https"
        if unusable:
            raise PortalRefused(f"the portal gives an address that cannot be used: {unusable}")
        if body is not None:
            request.body = body  # type: ignore[assignment]  # an iterable, which requests allows
            request.headers["Content-Length"] = str(len(body))
            if body.content_type is not None:
                request.headers["Content-Type"] = body.content_type
            if body.expect:
                request.headers["Expect"] = "100-continue"
        elif method == "GET" and self.ours(url):
            request.headers["Accept-Encoding"] = "gzip"
        return request

    def _read_into(self, content: bytearray, response: requests.Response, silence: float) -> None:
        deadline = self._monotonic() + silence
        for block in response.iter_content(_BLOCK):
            content += block
            if len(content) > _MAX_ANSWER or self._monotonic() > deadline:
                raise requests.ReadTimeout("the answer does not end")

    # ----------------------------------------------------------------------------------- exchanges

    def _exchange(self, request: requests.PreparedRequest) -> Exchange:
        return Exchange(
            method=request.method or "",
            url=self._redacted(without_query(request.url or "", self.ours(request.url or ""))),
            at=datetime.fromtimestamp(self._clock(), UTC).isoformat().replace("+00:00", "Z"),
            trace_id=request.headers.get("X-Request-ID", ""),
            reason=self._reason,
            request_headers=self._headers(request.headers),
        )

    def _with_answer(
        self, exchange: Exchange, response: requests.Response, content: bytes
    ) -> Exchange:
        sentry_id = self._redacted(response.headers.get("X-Sentry-ID", ""))[:_KEPT_VALUE]
        return replace(
            exchange,
            status=response.status_code,
            answer_headers=self._headers(response.headers),
            answer_body=self._beginning(content),
            # old servers said "None" when they had none (portal-facts §11.7)
            sentry_id=None if sentry_id in {"", "None"} else sentry_id,
        )

    def _beginning(self, content: bytes) -> str:
        """What is kept of an answer: redacted before it is cut, as a cut key is not recognised."""
        text = self._redacted(content[:_LOOKED_AT].decode("utf-8", "replace"))
        if len(content) > _LOOKED_AT and len(text) < _LOOKED_AT // 2:
            # there was so much to take out that the cut came near
            text = self._redacted(content.decode("utf-8", "replace"))
        return text[:_KEPT_BODY]

    def _headers(self, headers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        kept = [
            (name, _HIDDEN if name.lower() in _SECRET_HEADERS else value)
            for name, value in islice(headers.items(), _KEPT_HEADERS)
        ]
        # nearly always there is nothing to hide, which one look at all of them tells
        told = "\n".join(map("\n".join, kept))
        if self._redacted(told) != told:
            kept = [(self._redacted(name), self._redacted(value)) for name, value in kept]
        return tuple((name[:_KEPT_VALUE], value[:_KEPT_VALUE]) for name, value in kept)

    def _redacted(self, text: str) -> str:
        """The text without the key: as it is, and in whatever dress an answer gives it back."""
        return self._hide(text.replace(self._key, _HIDDEN) if self._key else text)

    def _tell(self, exchange: Exchange) -> None:
        if self._on_exchange is not None:
            self._on_exchange(exchange)


class _Broken(PortalUnreachable):
    """The connection broke while reading: worth a second try."""


def _key(api_key: str | None) -> str | None:
    if api_key is None:
        return None
    key = api_key.strip()
    if not re.fullmatch(r"[!-~]+", key):
        raise ConfigInvalid(
            "the API key is empty, or holds blanks or characters that no key has.",
            hint="It must be the key alone, on one line, as the portal showed it.",
        )
    return key


def _identity(listed: list[Any]) -> str:
    """What a page of a list begins with, to tell it from the others; nothing is a page too."""
    first = listed[0] if listed else None
    return str(first.get("id")) if isinstance(first, Mapping) else repr(first)
