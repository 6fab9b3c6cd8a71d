"""Says who it works for. Of a secret it tells a digest, so that a test can see that it arrived and no state holds it."""

import hashlib
import json
from typing import TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph


class State(TypedDict, total=False):
    told: str


async def tell(state: State, config: RunnableConfig) -> State:
    user = config["configurable"].get("langgraph_auth_user") or {}
    token = user.get("github_token", "")
    told = {
        "identity": user.get("identity"),
        "permissions": list(user.get("permissions") or []),
        "team": user.get("team"),
        "github_token_sha256": hashlib.sha256(token.encode()).hexdigest() if token else None,
    }
    return {"told": json.dumps(told)}


graph = StateGraph(State).add_node("tell", tell).add_edge(START, "tell").add_edge("tell", END).compile()
