"""What the public gets at a resource's link, which is what publishing is for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import requests
import urllib3.exceptions

from publisher_daemon.errors import PortalRefused, PortalUnreachable
from publisher_daemon.model import RemoteResource
from publisher_daemon.portal.addresses import HOPS, joined
from publisher_daemon.portal.body import BLOCK
from publisher_daemon.portal.calls import Answer, Caller


class Served:
    """The part of the portal that anybody sees: permalinks, and the files they lead to."""

    _calls: Caller

    def serves(self, resource: RemoteResource, *, bytes_too: bool = True) -> str | None:
        """None when its permalink leads to its url and that has its size, else why not.

        Without ``bytes_too`` the file server is not asked: one request less. Raises
        PortalUnreachable when the portal itself does not answer; a file server elsewhere that does
        not is a reason among others.
        """
        try:
            return self._led(resource) or (self._given(resource) if bytes_too else None)
        except PortalUnreachable as error:
            if error.exchange is None or self._calls.ours(error.exchange.url):
                raise
            return error.message

    def _led(self, resource: RemoteResource) -> str | None:
        """Why the permalink does not lead to the file; None when it does."""
        answer = self._calls.ask("HEAD", resource.permalink)
        if not 300 <= answer.status < 400:
            return f"the permalink {resource.permalink} answers {answer.status}, not a redirection"
        target = joined(resource.permalink, answer.headers.get("Location", ""))
        if target != resource.url:
            return f"the permalink {resource.permalink} leads to {target}, not to {resource.url}"
        return None

    def _given(self, resource: RemoteResource) -> str | None:
        """Why the file server does not give the file; None when it does."""
        answer = self._calls.ask("HEAD", resource.url)
        status, headers = answer.status, answer.headers
        if status == 405:
            response, _ = self._calls.stream(resource.url)
            status, headers = response.status_code, response.headers
            response.close()
        if status != 200:
            return f"{resource.url} answers {status}"
        length = headers.get("Content-Length")
        if resource.size is None or length is None or headers.get("Content-Encoding"):
            return None
        if not length.isdecimal() or int(length) != resource.size:
            return f"{resource.url} is {length} bytes long, not {resource.size}"
        return None

    def fetch(self, resource: RemoteResource) -> Iterator[bytes]:
        """The bytes that the public gets at the resource's permalink."""
        url = resource.permalink
        for _ in range(HOPS):
            response, exchange = self._calls.stream(url)
            trouble = None
            with response:
                status = response.status_code
                if status == 200:
                    try:
                        yield from response.iter_content(BLOCK)
                    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
                        trouble = exchange
                    else:
                        return
            if trouble:
                raise PortalUnreachable(f"the download of {exchange.url} broke", exchange=exchange)
            if not 300 <= status < 400 or "Location" not in response.headers:
                self._calls.refuse(Answer(status, response.headers, b"", exchange), wrote=False)
            url = joined(url, response.headers["Location"])
        raise PortalRefused(f"{resource.permalink} is redirected for ever")

    def fetch_sha1(self, resource: RemoteResource) -> str:
        """The sha1 of the bytes that the public gets at the resource's permalink."""
        digest = hashlib.sha1(usedforsecurity=False)
        for block in self.fetch(resource):
            digest.update(block)
        return digest.hexdigest()
