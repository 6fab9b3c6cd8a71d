#!/usr/bin/env python3
"""The same gate through RemoteGraph for Python: a graph that runs elsewhere, used like a local one."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any

from langgraph.pregel.remote import RemoteGraph
from langgraph_sdk import get_client, get_sync_client

from checks import Checks, Options, enter, options_from_command_line, question, status_of

# The JS server 1.5.1 cannot serve this RemoteGraph here, with or without a gate.
NO_BOOLEAN = "400, the server wants a string for subgraphs"


def graph_of(options: Options, token: str | None) -> RemoteGraph:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return RemoteGraph(
        options.agent,
        client=get_client(url=options.gate, api_key=None, headers=headers),
        sync_client=get_sync_client(url=options.gate, api_key=None, headers=headers),
    )


def messages(values: Any) -> str:
    return f"{len(values['messages'])} messages"


async def walkthrough(options: Options) -> int:
    checks = Checks()
    one = await enter(checks, "user 1", options)
    two = await enter(checks, "user 2", options)
    first, second, nobody = (graph_of(options, token) for token in (one.token, two.token, None))
    client = get_client(url=options.gate, api_key=None, headers={"authorization": f"Bearer {one.token}"})
    thread_id = str(uuid.uuid4())
    config: Any = {"configurable": {"thread_id": thread_id}}
    snapshot: Any = None

    async def invoke(graph: RemoteGraph, **configurable: Any) -> object:
        given: Any = {"configurable": {"thread_id": thread_id, **configurable}}
        return messages(await graph.ainvoke(question("hi"), given))

    await checks.expect("user 1 invokes the graph on a thread that is not there yet", "2 messages", lambda: invoke(first))

    async def owner() -> object:
        thread = await client.threads.get(thread_id)
        return "user 1" if (thread["metadata"] or {}).get("owner") == one.id else "somebody else"

    await checks.expect("the new thread belongs to user 1", "user 1", owner)

    async def stream() -> object:
        at = [
            time.monotonic()
            async for part in first.astream(question("again"), config, stream_mode=["messages", "custom"])
            if part[0] == "custom"
        ]
        if not at:
            return "no words"
        return "before the last" if at[-1] - at[0] > 0.1 else "all at once"

    await checks.expect("user 1 streams on it, the first word comes", "before the last", stream)

    async def get_state(graph: RemoteGraph, given: Any = config) -> object:
        nonlocal snapshot
        try:
            snapshot = await graph.aget_state(given)
        except Exception as error:
            # This RemoteGraph always sends a boolean `subgraphs`, which the JS server 1.5.1 answers with 400, gate or not.
            if status_of(error) == 400 and "received boolean" in getattr(getattr(error, "response", None), "text", ""):
                return NO_BOOLEAN
            raise
        return messages(snapshot.values)

    await checks.expect("user 1 reads the state", ["4 messages", NO_BOOLEAN], lambda: get_state(first))
    if snapshot is not None:
        await checks.expect("user 1 reads the state of that checkpoint", "4 messages", lambda: get_state(first, snapshot.config))

    async def history(graph: RemoteGraph) -> object:
        states = [state async for state in graph.aget_state_history(config)]
        return "4 or more states" if len(states) >= 4 else f"{len(states)} states"

    await checks.expect("user 1 reads the history", "4 or more states", lambda: history(first))

    async def update(graph: RemoteGraph) -> object:
        updated = await graph.aupdate_state(config, question("a note"), "answer")
        return "updated" if updated["configurable"]["thread_id"] == thread_id else "another thread"

    await checks.expect("user 1 updates the state", "updated", lambda: update(first))

    async def sync_invoke() -> object:
        return messages(await asyncio.to_thread(first.invoke, question("and in one thread"), config))

    await checks.expect("user 1 invokes the graph without asyncio", "7 messages", sync_invoke)

    async def draw() -> object:
        return "answer" if "answer" in (await first.aget_graph()).nodes else "another graph"

    await checks.expect("user 1 draws the graph", "answer", draw)

    for name, graph, status in (("user 2", second, 404), ("somebody without a token", nobody, 401)):
        await checks.expect(f"{name} invokes the graph on user 1's thread", status, lambda: invoke(graph))
        await checks.expect(f"{name} reads its state", status, lambda: get_state(graph))
        await checks.expect(f"{name} reads its history", status, lambda: history(graph))
        await checks.expect(f"{name} updates its state", status, lambda: update(graph))
    await checks.expect(
        "user 1 names a user in configurable", [400, 403], lambda: invoke(first, langgraph_auth_user={"identity": two.id})
    )

    async def delete() -> object:
        await client.threads.delete(thread_id)
        return "deleted"

    await checks.expect("user 1 deletes the thread", "deleted", delete)
    return checks.summary()


if __name__ == "__main__":
    raise SystemExit(asyncio.run(walkthrough(options_from_command_line())))
