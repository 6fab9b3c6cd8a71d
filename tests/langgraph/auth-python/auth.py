"""LangGraph's own custom auth, as its documentation teaches it: everybody gets what is stamped with their name, and their own part of
the store. The conformance test puts tokens.json beside this file: {token: identity}.
"""

import json
from pathlib import Path

from langgraph_sdk import Auth

auth = Auth()
identities = json.loads((Path(__file__).parent / "tokens.json").read_text())


@auth.authenticate
async def authenticate(authorization: str | None) -> Auth.types.MinimalUserDict:
    identity = identities.get((authorization or "").removeprefix("Bearer "))
    if identity is None:
        raise Auth.exceptions.HTTPException(status_code=401, detail="not known")
    return {"identity": identity}


@auth.on
async def add_owner(ctx: Auth.types.AuthContext, value: dict):
    metadata = value.get("metadata") or {}
    metadata["owner"] = ctx.user.identity
    value["metadata"] = metadata
    return {"owner": ctx.user.identity}


@auth.on.store()
async def own_namespace(ctx: Auth.types.AuthContext, value: dict):
    namespace = value.get("namespace") or ()
    if not namespace or namespace[0] != ctx.user.identity:
        raise Auth.exceptions.HTTPException(status_code=403, detail="not yours")
