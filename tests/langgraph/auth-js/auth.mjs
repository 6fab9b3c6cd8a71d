// LangGraph's own custom auth, as its documentation teaches it: everybody gets what is stamped with their name, and their own part of
// the store. The conformance test puts tokens.json beside this file: {token: identity}.
import { readFileSync } from "node:fs";
import { Auth, HTTPException } from "@langchain/langgraph-sdk/auth";

const identities = JSON.parse(readFileSync(new URL("tokens.json", import.meta.url), "utf8"));

export const auth = new Auth()
  .authenticate(async (request) => {
    const identity = identities[(request.headers.get("authorization") ?? "").replace(/^Bearer /, "")];
    if (identity === undefined) throw new HTTPException(401, { message: "not known" });
    return { identity, permissions: [] };
  })
  .on("*", ({ value, user }) => {
    if (value !== undefined && "metadata" in value) {
      value.metadata ??= {};
      value.metadata.owner = user.identity;
    }
    return { owner: user.identity };
  })
  .on("store", ({ value, user }) => {
    if (value.namespace?.[0] !== user.identity) throw new HTTPException(403, { message: "not yours" });
  });
