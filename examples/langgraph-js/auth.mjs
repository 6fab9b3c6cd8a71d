// Believes the gate's signed word about a user, and nothing else: the server cannot be reached around the gate.
import { Auth, HTTPException } from "@langchain/langgraph-sdk/auth";
import { createLocalJWKSet, jwtVerify } from "jose";

// The public half of what `postern new-key` printed: a JWK Set, with two keys in it during a rotation.
const keys = createLocalJWKSet(JSON.parse(process.env.POSTERN_ASSERTION_KEYS));
const rules = {
  algorithms: ["ES256"], typ: "postern+jwt", issuer: "postern", audience: process.env.POSTERN_ASSERTION_AUDIENCE,
  clockTolerance: 5, requiredClaims: ["exp", "iat", "sub"],
};

export const auth = new Auth().authenticate(async (request) => {
  try {
    const token = (request.headers.get("authorization") ?? "").replace(/^Bearer /, "");
    const { payload } = await jwtVerify(token, keys, rules);
    // For this request, and for a minute at most: what was overheard is of no use elsewhere.
    const forThis = payload.method === request.method && payload.path === new URL(request.url).pathname;
    if (forThis && payload.exp - payload.iat <= 60) return payload.user;
  } catch {
    // the same answer whatever is wrong with it
  }
  throw new HTTPException(401, { message: "only the gate may call" });
});
