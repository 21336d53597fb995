"""Why a request had no answer, in words, from the errors of four layers of libraries."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass

import requests
import urllib3.exceptions


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that it wraps, outermost first."""
    todo, seen = [error], set[int]()
    while todo:
        found = todo.pop(0)
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        inner = [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]
        todo += [one for one in inner if isinstance(one, BaseException)]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no answer, and what to do about it."""

    why: str
    hint: str | None = None
    #: an open connection broke, as kept connections do now and then
    broken: bool = False


_UNTRUSTED = (
    "If an authority of your organisation signed it, name that authority's file in "
    "`[portal] ca_file`."
)
_OF_ANOTHER_DAY = (
    "See whether this machine's clock is right (`date`). If it is, whoever runs what answers there "
    "must renew the certificate."
)
_OF_ANOTHER_NAME = "Check `[portal] url`: what answers there has a certificate for other names."
#: what OpenSSL finds wrong with a certificate, where it is not who signed it
_REMEDIES = {9: _OF_ANOTHER_DAY, 10: _OF_ANOTHER_DAY, 62: _OF_ANOTHER_NAME, 64: _OF_ANOTHER_NAME}


#: how OpenSSL names an end of the talk because of the version of TLS
_OLD_TLS = frozenset(
    {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION", "VERSION_TOO_LOW"}
)
_TOO_OLD = "What stands there, the portal or a proxy that reads along, must be updated."


def explained(error: Exception) -> Trouble:
    """What that error of the network means for people."""
    chain = list(_chain(error))

    def found(*kinds: type[BaseException]) -> BaseException | None:
        return next((one for one in chain if isinstance(one, kinds)), None)

    proxied = found(urllib3.exceptions.ProxyError)
    through = "through the proxy, " if proxied else ""
    if untrusted := found(ssl.SSLCertVerificationError):
        reason = getattr(untrusted, "verify_message", "") or short(untrusted)
        hint = _REMEDIES.get(getattr(untrusted, "verify_code", 0), _UNTRUSTED)
        trouble = Trouble(f"{through}its certificate is not trusted ({reason})", hint)
    elif (refused := found(ssl.SSLError)) and str(getattr(refused, "reason", "")) in _OLD_TLS:
        trouble = Trouble(f"{through}it does not speak TLS 1.2 or later", _TOO_OLD)
    elif found(socket.gaierror):
        where = "the proxy's name" if proxied else "its name"
        trouble = Trouble(f"{where} cannot be resolved", "Check `[portal] url` and the DNS.")
    elif proxied:
        detail = short(next((one for one in reversed(chain) if str(one)), error))
        trouble = Trouble(f"no way through the proxy ({detail})", "Check the proxy's address.")
    elif found(ConnectionRefusedError):
        trouble = Trouble("connection refused")
    elif found(urllib3.exceptions.ConnectTimeoutError):
        trouble = Trouble("no connection in time")
    elif found(TimeoutError, urllib3.exceptions.TimeoutError, requests.Timeout):
        trouble = Trouble("silence for too long")
    else:
        innermost = next((one for one in reversed(chain) if isinstance(one, OSError)), chain[-1])
        broken = found(ConnectionError, urllib3.exceptions.ProtocolError) is not None
        trouble = Trouble(f"the connection broke ({short(innermost)})", broken=broken)
    return trouble


def short(error: BaseException) -> str:
    """What the innermost library says, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
