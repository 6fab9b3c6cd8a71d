"""Asks SQLite, and LangGraph's own matcher where it is installed, which documents they select.

stdin:  {"rows": [JSON text], "sql": [{"where", "parameters"}], "langgraph": [dict or null]}
stdout: {"sqlite": [[row number]], "langgraph": [[row number] or null] or null}
"""

import json
import sqlite3
import sys

asked = json.load(sys.stdin)
connection = sqlite3.connect(":memory:")
connection.execute("CREATE TABLE docs (id INTEGER PRIMARY KEY, metadata TEXT)")
connection.executemany("INSERT INTO docs VALUES (?, ?)", enumerate(asked["rows"]))
selected = [
    [row[0] for row in connection.execute(f"SELECT id FROM docs AS d WHERE {one['where']} ORDER BY id", one["parameters"])]
    for one in asked["sql"]
]

try:
    from langgraph_runtime_inmem.ops import _check_filter_match as matches
except ImportError:
    matches = None
documents = [json.loads(row) for row in asked["rows"]]


def select(filters):
    if filters is None:
        return None
    return [at for at, document in enumerate(documents) if isinstance(document, dict) and matches(document, filters)]


langgraph = None if matches is None else [select(filters) for filters in asked["langgraph"]]
json.dump({"sqlite": selected, "langgraph": langgraph, "version": sqlite3.sqlite_version}, sys.stdout)
