#!/usr/bin/env python3
"""Two people, one agent server, one gate: the whole story with the LangGraph SDK for Python."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
from langgraph_sdk import get_client
from langgraph_sdk.client import LangGraphClient

from checks import Checks, Options, enter, options_from_command_line, question


class Caller:
    """A client as an application makes one, with an ear on the status of its last reply."""

    def __init__(self, gate: str, token: str) -> None:
        self.status = 0
        self.client: LangGraphClient = get_client(url=gate, api_key=None, headers={"authorization": f"Bearer {token}"})

        async def remember(reply: httpx.Response) -> None:
            self.status = reply.status_code

        self.client.http.client.event_hooks["response"].append(remember)

    async def found(self, **query: Any) -> list[str]:
        return [thread["thread_id"] for thread in await self.client.threads.search(limit=100, **query)]


# Every routed way to reach a thread by its id. Deleting comes last: on a server without a gate it works.
RUN = {"assistant_id": "AGENT", "input": question("let me in")}
WAYS: list[tuple[str, str, str, dict[str, Any] | None]] = [
    ("reads", "GET", "", None),
    ("reads the state of", "GET", "/state?subgraphs=false", None),
    ("reads a checkpoint of", "POST", "/state/checkpoint", {"checkpoint": {"checkpoint_ns": ""}}),
    ("reads the history of", "POST", "/history", {"limit": 10}),
    ("lists the runs of", "GET", "/runs?limit=10&offset=0", None),
    ("reads a run of", "GET", "/runs/RUN", None),
    ("joins a run of", "GET", "/runs/RUN/join", None),
    ("changes", "PATCH", "", {"metadata": {"topic": "taken over"}}),
    ("writes the state of", "POST", "/state", {"values": {"messages": []}, "as_node": "answer"}),
    ("starts a run on", "POST", "/runs", RUN),
    ("runs and waits on", "POST", "/runs/wait", RUN),
    ("streams a run on", "POST", "/runs/stream", {**RUN, "stream_mode": ["values"], "stream_subgraphs": False}),
    ("deletes", "DELETE", "", None),
]


async def foreign_and_missing(
    gate: httpx.AsyncClient, way: tuple[str, str, str, dict[str, Any] | None], thread_id: str, run_id: str, agent: str
) -> object:
    """The status of the same request for a foreign thread and for one that is not there.

    The replies must not differ in a byte, or the gate tells which ids are taken. The ids themselves are put aside: a reply may
    repeat the one it was asked for.
    """
    _, method, path, body = way
    if body is not None and "assistant_id" in body:
        body = {**body, "assistant_id": agent}

    async def ask(thread: str, run: str) -> tuple[int, str | None, bytes]:
        reply = await gate.request(method, f"/threads/{thread}{path.replace('RUN', run)}", json=body)
        content = reply.content.replace(thread.encode(), b"THREAD").replace(run.encode(), b"RUN")
        return reply.status_code, reply.headers.get("content-type"), content

    foreign = await ask(thread_id, run_id)
    missing = await ask(str(uuid.uuid4()), str(uuid.uuid4()))
    if foreign[0] != missing[0]:
        return f"{foreign[0]}, for a missing one {missing[0]}"
    return foreign[0] if foreign == missing else f"{foreign[0]}, but another body than for a missing one"


async def walkthrough(options: Options) -> int:
    checks = Checks()
    agent = options.agent
    one = await enter(checks, "user 1", options)
    two = await enter(checks, "user 2", options)
    first, second = Caller(options.gate, one.token), Caller(options.gate, two.token)
    thread_id, run_id, own_of_two = str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())

    async def assistants() -> object:
        found = await first.client.assistants.search(graph_id=agent)
        if not any(assistant["graph_id"] == agent for assistant in found):
            return "not among them"
        assistant = await first.client.assistants.get(found[0]["assistant_id"])
        return first.status if assistant["graph_id"] == agent else "another assistant"

    await checks.expect("user 1 finds and reads the agent's assistant", 200, assistants)

    async def create() -> object:
        nonlocal thread_id
        thread_id = (await first.client.threads.create(metadata={"topic": "walk", "owner": two.id}))["thread_id"]
        return first.status

    await checks.expect("user 1 creates a thread", 200, create)

    async def owner(topic: str) -> object:
        metadata = (await first.client.threads.get(thread_id))["metadata"]
        return "user 1" if metadata["owner"] == one.id and metadata["topic"] == topic else "somebody else"

    await checks.expect("the owner that user 1 sent is overwritten", "user 1", lambda: owner("walk"))

    async def stream() -> object:
        # On the first word the run is looked up: had the gate kept the words back, it would be over by then.
        nonlocal run_id
        words, while_running = 0, False
        async for event in first.client.runs.stream(
            thread_id, agent, input=question("hello there"), stream_mode=["messages-tuple", "values"]
        ):
            if event.event == "metadata":
                run_id = event.data["run_id"]
            if event.event == "error":
                return "the stream told an error"
            if event.event == "messages":
                words += 1
                if words == 1:
                    while_running = (await first.client.runs.get(thread_id, run_id))["status"] != "success"
        if words < 5:
            return f"{words} words"
        return first.status if while_running else "the first word came when the run was over"

    await checks.expect("user 1 streams a run, word by word", 200, stream)

    async def wait() -> object:
        values = await first.client.runs.wait(thread_id, agent, input=question("and again"))
        return f"{len(values['messages'])} messages"

    await checks.expect("user 1 runs again and waits for the answer", "4 messages", wait)

    async def join() -> object:
        run = await first.client.runs.create(
            thread_id, agent, input=question("in the background"), metadata={"owner": two.id}
        )
        return f"{len((await first.client.runs.join(thread_id, run['run_id']))['messages'])} messages"

    await checks.expect("user 1 starts a run and joins it", "6 messages", join)

    async def state() -> object:
        return f"{len((await first.client.threads.get_state(thread_id))['values']['messages'])} messages"

    await checks.expect("user 1 reads the state", "6 messages", state)

    async def history() -> object:
        states = await first.client.threads.get_history(thread_id)
        return "6 or more states" if len(states) >= 6 else f"{len(states)} states"

    await checks.expect("user 1 reads the history", "6 or more states", history)

    async def runs() -> object:
        listed = await first.client.runs.list(thread_id)
        return f"{len(listed)} runs" if any(run["run_id"] == run_id for run in listed) else "not the run"

    await checks.expect("user 1 lists the runs", "3 runs", runs)

    async def run_status() -> object:
        return (await first.client.runs.get(thread_id, run_id))["status"]

    await checks.expect("user 1 reads a run", "success", run_status)

    async def update() -> object:
        await first.client.threads.update(thread_id, metadata={"topic": "changed", "owner": two.id})
        return await owner("changed")

    await checks.expect("user 1 changes the thread, and still owns it", "user 1", update)

    async def finds(who: Caller, **query: Any) -> object:
        return "found" if thread_id in await who.found(**query) else "not found"

    await checks.expect("user 1 searches and finds the thread", "found", lambda: finds(first))

    # Nobody.
    async with httpx.AsyncClient(base_url=options.gate, timeout=30) as nobody:

        async def challenged(method: str, path: str, token: str | None = None, body: object = None) -> object:
            headers = {"authorization": f"Bearer {token}"} if token else {}
            reply = await nobody.request(method, path, headers=headers, json=body)
            return f"{reply.status_code} {reply.headers.get('www-authenticate', 'and no WWW-Authenticate').split(' ')[0]}"

        for name, token in (("without a token", None), ("with a token that is none", "nonsense")):
            await checks.expect(
                f"reading the thread {name}", "401 Bearer", lambda: challenged("GET", f"/threads/{thread_id}", token)
            )
        await checks.expect(
            "searching without a token", "401 Bearer", lambda: challenged("POST", "/threads/search", body={})
        )

    # Somebody else.
    async def create_second() -> object:
        nonlocal own_of_two
        own_of_two = (await second.client.threads.create())["thread_id"]
        return second.status

    await checks.expect("user 2 creates a thread", 200, create_second)

    async def own_alone() -> object:
        ids = await second.found()
        return "1 thread" if ids == [own_of_two] else f"{len(ids)} threads, user 1's {'too' if thread_id in ids else 'not'}"

    await checks.expect("user 2 searches and finds that one alone", "1 thread", own_alone)
    for name, query in (
        ("topic", {"metadata": {"topic": "changed"}}),
        ("owner", {"metadata": {"owner": one.id}}),
        ("id", {"ids": [thread_id]}),
    ):
        await checks.expect(
            f"user 2 searches for user 1's thread by its {name}", "not found", lambda: finds(second, **query)
        )

    async def read_foreign() -> object:
        await second.client.threads.get(thread_id)
        return second.status

    await checks.expect("user 2 reads user 1's thread with the SDK", 404, read_foreign)

    async def stream_foreign() -> object:
        return len([event async for event in second.client.runs.stream(thread_id, agent, input=question("let me in"))])

    await checks.expect("user 2 streams on user 1's thread with the SDK", 404, stream_foreign)

    async def create_taken(if_exists: Any) -> object:
        await second.client.threads.create(thread_id=thread_id, if_exists=if_exists)
        return second.status

    for if_exists in ("raise", "do_nothing"):
        await checks.expect(
            f"user 2 creates a thread with user 1's id ({if_exists})", 409, lambda: create_taken(if_exists)
        )

    async with httpx.AsyncClient(
        base_url=options.gate, headers={"authorization": f"Bearer {two.token}"}, timeout=30
    ) as raw:
        for way in WAYS:
            await checks.expect(
                f"user 2 {way[0]} user 1's thread", 404, lambda: foreign_and_missing(raw, way, thread_id, run_id, agent)
            )

    async def as_it_was() -> object:
        topic = (await first.client.threads.get(thread_id))["metadata"]["topic"]
        return f"{topic}, {await state()}, {await runs()}"

    await checks.expect("after all that, user 1's thread is as it was", "changed, 6 messages, 3 runs", as_it_was)

    # What no client may say, even about a thread of its own.
    async def refused(**extra: Any) -> object:
        await first.client.runs.create(thread_id, agent, input=question("please"), **extra)
        return first.status

    for name, extra in (
        ("configurable.langgraph_auth_user", {"config": {"configurable": {"langgraph_auth_user": {"identity": two.id}}}}),
        ("context.langgraph_auth_user_id", {"context": {"langgraph_auth_user_id": two.id}}),
        ("configurable.thread_id of another thread", {"config": {"configurable": {"thread_id": own_of_two}}}),
        ("webhook", {"webhook": "/threads"}),
        ("checkpoint_id", {"checkpoint_id": str(uuid.uuid4())}),
    ):
        await checks.expect(f"user 1 starts a run with {name}", [400, 403], lambda: refused(**extra))

    async def unknown_assistant() -> object:
        await first.client.runs.create(thread_id, str(uuid.uuid4()), input=question("please"))
        return first.status

    await checks.expect("user 1 runs an assistant that nobody knows", [400, 403, 404], unknown_assistant)

    # The end.
    async def delete(who: Caller, thread: str) -> object:
        await who.client.threads.delete(thread)
        return who.status

    await checks.expect("user 1 deletes the thread", 204, lambda: delete(first, thread_id))

    async def read_deleted() -> object:
        await first.client.threads.get(thread_id)
        return first.status

    await checks.expect("user 1 reads the deleted thread", 404, read_deleted)
    await checks.expect("user 2 deletes the other one", 204, lambda: delete(second, own_of_two))
    return checks.summary()


if __name__ == "__main__":
    raise SystemExit(asyncio.run(walkthrough(options_from_command_line())))
