// The auth file of a LangGraph JS project, as its tutorials write it: Supabase is asked who it is, everybody works on their own, and
// the store is kept apart by its first label. langgraph.json names it as "auth": { "path": "./auth.mjs:auth" }.
import { Auth, HTTPException } from "@langchain/langgraph-sdk/auth";

const { SUPABASE_URL, SUPABASE_ANON_KEY } = process.env;

export const auth = new Auth()
  .authenticate(async (request) => {
    const authorization = request.headers.get("authorization") ?? "";
    const [scheme, token] = authorization.split(" ");
    if (scheme.toLowerCase() !== "bearer" || !token) throw new HTTPException(401, { message: "Missing token" });
    const reply = await fetch(`${SUPABASE_URL}/auth/v1/user`, { headers: { authorization, apikey: SUPABASE_ANON_KEY } });
    if (!reply.ok) throw new HTTPException(401, { message: "Invalid token" });
    const user = await reply.json();
    return { identity: user.id, email: user.email, permissions: user.email.endsWith("@staff.example") ? ["delete"] : [] };
  })
  .on("*", ({ value, user }) => {
    if ("metadata" in value) {
      value.metadata ??= {};
      value.metadata.owner = user.identity;
    }
    return { owner: user.identity };
  })
  .on(["assistants:read", "assistants:search"], () => {})
  .on("threads:delete", ({ user, permissions }) => permissions.includes("delete") && { owner: user.identity })
  .on("store", ({ value, user }) => {
    if (value.namespace?.[0] !== user.identity) throw new HTTPException(403, { message: "Not authorized" });
  });
