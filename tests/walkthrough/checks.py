"""What the Python walkthroughs share: one printed line per check, two people at the issuer, and the options.

The names of the checks are those of checks.mjs and walkthrough.mjs, so that the outputs of both can be read side by side.
"""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx

NAME_WIDTH = 66  # wide enough for the longest check name; the outcomes then stand in one column


@dataclass(frozen=True)
class Options:
    gate: str
    issuer: str
    apikey: str
    agent: str


@dataclass(frozen=True)
class Person:
    name: str
    id: str
    token: str


class Checks:
    """Counts and prints. A check passes when it returns what was expected, and fails on anything else, a raise included."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    async def expect(self, name: str, expected: object, check: Callable[[], Awaitable[object]]) -> None:
        wanted = expected if isinstance(expected, list) else [expected]
        try:
            got = await check()
        except Exception as error:  # whatever a client raises is an outcome here
            got = status_of(error) or f"{type(error).__name__}: {error}".splitlines()[0][:160]
        if got in wanted:
            self.passed += 1
            self._print("ok", name, str(got))
        else:
            self.failed += 1
            self._print("FAIL", name, f"expected {' or '.join(map(str, wanted))}, got {got}")

    @staticmethod
    def _print(outcome: str, name: str, text: str) -> None:
        print(f"{outcome:<4} {name:<{NAME_WIDTH}} {text}", flush=True)

    def summary(self) -> int:
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0


def status_of(error: BaseException) -> int | None:
    """The HTTP status inside an error of httpx or of the SDK."""
    response = getattr(error, "response", None)
    return getattr(error, "status_code", None) or getattr(response, "status_code", None)


async def enter(checks: Checks, name: str, options: Options) -> Person:
    """Signs a person up and logs them in, as a browser would."""
    base = options.issuer.rstrip("/").removesuffix("/auth/v1") + "/auth/v1"
    account = {
        "email": f"{name.replace(' ', '-')}-{secrets.token_hex(6)}@example.com",
        "password": secrets.token_urlsafe(18),
    }
    session: dict[str, Any] = {}
    async with httpx.AsyncClient(headers={"apikey": options.apikey}, timeout=30) as client:

        async def sign_up() -> int:
            return (await client.post(f"{base}/signup", json=account)).status_code

        async def log_in() -> int:
            reply = await client.post(f"{base}/token", params={"grant_type": "password"}, json=account)
            session.update(reply.json())
            return reply.status_code

        await checks.expect(f"{name} signs up", 200, sign_up)
        await checks.expect(f"{name} logs in", 200, log_in)
    if "access_token" not in session:
        raise SystemExit(f"{name} has no token; is {base} the issuer?")
    return Person(name, session["user"]["id"], session["access_token"])


def question(content: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def options_from_command_line() -> Options:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gate", required=True)
    parser.add_argument("--issuer", required=True)
    parser.add_argument("--apikey", default="anon")
    parser.add_argument("--agent", default="agent")
    given = parser.parse_args()
    return Options(given.gate.rstrip("/"), given.issuer, given.apikey, given.agent)
