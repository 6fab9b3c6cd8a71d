"""Believes the gate's signed word about a user, and nothing else: the server cannot be reached around the gate."""

import os

import jwt
from langgraph_sdk import Auth

auth = Auth()
# The public half of what `postern new-key` printed: a JWK Set, with two keys in it during a rotation.
keys = jwt.PyJWKSet.from_json(os.environ["POSTERN_ASSERTION_KEYS"])
audience = os.environ["POSTERN_ASSERTION_AUDIENCE"]


@auth.authenticate
async def authenticate(authorization: str | None, method: str, path: str) -> Auth.types.MinimalUserDict:
    try:
        token = (authorization or "").removeprefix("Bearer ")
        header = jwt.get_unverified_header(token)
        word = jwt.decode(
            token, keys[header["kid"]], algorithms=["ES256"], issuer="postern", audience=audience, leeway=5, options={"require": ["exp", "iat", "sub"]}
        )
        # For this request, and for a minute at most: what was overheard is of no use elsewhere.
        if header.get("typ") != "postern+jwt" or word["exp"] - word["iat"] > 60 or (word["method"], word["path"]) != (method, path):
            raise KeyError
    except (jwt.PyJWTError, KeyError):
        raise Auth.exceptions.HTTPException(status_code=401, detail="only the gate may call") from None
    return word["user"]
