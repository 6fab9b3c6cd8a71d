"""What a reader of LangGraph's auth tutorials writes as a client: sign up, log in, talk to the server with the token. Knows no gate."""

import asyncio
import json
import os

import httpx
from langgraph_sdk import get_client

SUPABASE_URL = os.environ["SUPABASE_URL"]
SUPABASE_ANON_KEY = os.environ["SUPABASE_ANON_KEY"]
LANGGRAPH_URL = os.environ["LANGGRAPH_URL"]


async def log_in(email: str, password: str) -> str:
    async with httpx.AsyncClient(base_url=SUPABASE_URL, headers={"apikey": SUPABASE_ANON_KEY}) as supabase:
        account = {"email": email, "password": password}
        (await supabase.post("/auth/v1/signup", json=account)).raise_for_status()
        reply = await supabase.post("/auth/v1/token", params={"grant_type": "password"}, json=account)
        return reply.raise_for_status().json()["access_token"]


def client_of(token: str | None):
    return get_client(url=LANGGRAPH_URL, headers={"Authorization": f"Bearer {token}"} if token else None)


async def status_of(call) -> int:
    try:
        await call
        return 200
    except httpx.HTTPStatusError as refused:
        return refused.response.status_code


async def main() -> None:
    ann = client_of(await log_in("ann@example.com", "correct horse battery"))
    ben = client_of(await log_in("ben@example.com", "staple correct horse"))
    thread = await ann.threads.create()
    said = {
        "without": await status_of(client_of(None).threads.create()),
        "with_wrong": await status_of(client_of("not-a-token").threads.create()),
        "created": bool(thread["thread_id"]),
        "own": len(await ann.threads.search()),
        "foreign": await status_of(ben.threads.get(thread["thread_id"])),
        "others": len(await ben.threads.search()),
    }
    print(json.dumps(said))


asyncio.run(main())
