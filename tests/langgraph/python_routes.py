"""Prints the routes that the installed LangGraph Python server registers, as JSON: [{"method", "path"}].

The server's description (/openapi.json) leaves some out. Nothing is started: importing the server builds its table.
"""

import json
import os

os.environ.update(
    DATABASE_URI=":memory:",
    REDIS_URI="fake",
    MIGRATIONS_PATH="__inmem",
    LANGGRAPH_RUNTIME_EDITION="inmem",
    LANGSMITH_LANGGRAPH_API_VARIANT="local_dev",
    LANGSERVE_GRAPHS="{}",
    LANGSMITH_TRACING="false",
)

from langgraph_api import server  # noqa: E402


def walk(routes, prefix=""):
    for route in routes:
        path = prefix + getattr(route, "path", "")
        if getattr(route, "routes", None):
            yield from walk(route.routes, path)
        elif getattr(route, "methods", None):
            for method in sorted(route.methods - {"HEAD"}):
                yield {"method": method, "path": path}
        elif type(route).__name__.endswith("WebSocketRoute"):
            yield {"method": "GET", "path": path}
        else:
            # A folder of files: one name below it.
            yield {"method": "GET", "path": f"{path}/{{graph_id}}/{{file}}"}


print(json.dumps(list(walk(server.app.routes))))
