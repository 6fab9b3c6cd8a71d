// Says who it works for. Of a secret it tells a digest, so that a test can see that it arrived and no state holds it.
import { createHash } from "node:crypto";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";

const State = Annotation.Root({ told: Annotation() });

function tell(_state, config) {
  const user = config.configurable?.langgraph_auth_user ?? {};
  const told = {
    identity: user.identity ?? null,
    permissions: user.permissions ?? [],
    team: user.team ?? null,
    github_token_sha256: user.github_token ? createHash("sha256").update(user.github_token).digest("hex") : null,
  };
  return { told: JSON.stringify(told) };
}

export const graph = new StateGraph(State).addNode("tell", tell).addEdge(START, "tell").addEdge("tell", END).compile();
