"""A person at the portal: reads and edits it with plain requests, without our own client."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from launcher import Sandbox


@dataclass(frozen=True)
class Api:
    """Looks at the portal and edits it as a person would, with plain requests."""

    sandbox: Sandbox

    def request(
        self,
        method: str,
        path: str,
        *,
        token: str | None = "prod",
        payload: Any = None,
        files: Any = None,
    ) -> requests.Response:
        """Call ``/api/<path>`` as the user labelled ``token`` and return the answer, whatever."""
        with requests.Session() as session:
            session.trust_env = False  # no proxy, no .netrc
            # a udata cookie wins over the key: two users in one jar would act as the first
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            return session.request(
                method,
                f"{self.sandbox.url}/api/{path.lstrip('/')}",
                headers={"X-API-KEY": self.sandbox.tokens[token]} if token else {},
                json=payload,
                files=files,
                timeout=60,
            )

    def json(self, method: str, path: str, **options: Any) -> Any:
        """Call, insist on success, return the JSON (None when the answer is empty)."""
        answer = self.request(method, path, **options)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    def dataset(self, dataset: str) -> dict[str, Any]:
        """Return the dataset as the portal shows it to the key of prod."""
        found: dict[str, Any] = self.json("GET", f"1/datasets/{dataset}/")
        return found

    def resources(self, dataset: str) -> list[dict[str, Any]]:
        """Return its resources, newest first."""
        found: list[dict[str, Any]] = self.dataset(dataset)["resources"]
        return found

    def resource(self, dataset: str, resource: str) -> dict[str, Any]:
        """Return one resource."""
        found: dict[str, Any] = self.json("GET", f"1/datasets/{dataset}/resources/{resource}/")
        return found

    def sha1s(self, dataset: str) -> dict[str, str]:
        """Return the checksum of each resource, by resource id."""
        return {found["id"]: found["checksum"]["value"] for found in self.resources(dataset)}

    def download(self, resource: dict[str, Any]) -> bytes:
        """Return the bytes that the public gets at the resource's permalink."""
        answer = requests.get(resource["latest"], timeout=60)
        assert answer.ok, f"GET {resource['latest']}: {answer.status_code}"
        return answer.content

    def upload(
        self, dataset: str, name: str, content: bytes, *, token: str = "editor"
    ) -> dict[str, Any]:
        """Add a file by hand, as a colleague does."""
        found: dict[str, Any] = self.json(
            "POST", f"1/datasets/{dataset}/upload/", token=token, files={"file": (name, content)}
        )
        return found

    def replace(
        self, dataset: str, resource: str, name: str, content: bytes, *, token: str = "editor"
    ) -> dict[str, Any]:
        """Replace a resource's file by hand, as a colleague does."""
        found: dict[str, Any] = self.json(
            "POST",
            f"1/datasets/{dataset}/resources/{resource}/upload/",
            token=token,
            files={"file": (name, content)},
        )
        return found

    def edit_resource(
        self, dataset: str, resource: str, *, token: str = "editor", **fields: Any
    ) -> dict[str, Any]:
        """Change a resource's words by hand, as a colleague does."""
        found: dict[str, Any] = self.json(
            "PUT", f"1/datasets/{dataset}/resources/{resource}/", token=token, payload=fields
        )
        return found

    def edit_dataset(self, dataset: str, *, token: str = "editor", **fields: Any) -> dict[str, Any]:
        """Change the dataset by hand; what udata wipes when it is not said again is said again."""
        now = self.dataset(dataset)
        kept = {name: now[name] for name in ("tags", "temporal_coverage")}
        found: dict[str, Any] = self.json(
            "PUT", f"1/datasets/{dataset}/", token=token, payload=kept | fields
        )
        return found

    def delete_resource(self, dataset: str, resource: str, *, token: str = "editor") -> None:
        """Delete a resource by hand, as a colleague does."""
        self.json("DELETE", f"1/datasets/{dataset}/resources/{resource}/", token=token)
