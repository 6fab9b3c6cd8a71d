// The walkthrough of scripts/demo: two users, a real LangGraph server without auth, the gate in front.
import { walkthrough } from "../tests/walkthrough/walkthrough.mjs";
import { removeLogs, startAgent, startGate, startIssuer } from "../tests/support/services.mjs";

const words = process.argv.slice(2);
const kind = words.includes("--edge") ? "edge" : "native";
const agentKind = words.includes("--python") ? "python" : "js";

const started = [];
async function begin(label, starting) {
  const service = await starting;
  started.push(service);
  console.log(`${label.padEnd(44)} ${service.url}`);
  return service;
}

let outcome;
try {
  const issuer = await begin("issuer (Supabase-shaped, for development)", startIssuer("--dev"));
  const agent = await begin(`LangGraph ${agentKind === "js" ? "JS" : "Python"} server, no auth of its own`, startAgent(agentKind));
  const gate = await begin(
    kind === "edge" ? "Postern, as a worker in workerd" : "Postern, native server",
    startGate(kind, { upstream: agent.url, issuer: `${issuer.url}/auth/v1` }),
  );
  console.log();
  outcome = await walkthrough({ gate: gate.url, issuer: issuer.url });
  if (!words.includes("--check")) await keepServing(issuer, gate);
} catch (error) {
  console.error(`demo: ${error.message}`);
  outcome = { failed: 1 };
} finally {
  for (const service of started.reverse()) await service.stop();
}
if (outcome.failed === 0) removeLogs();
process.exit(outcome.failed === 0 ? 0 : 1);

async function keepServing(issuer, gate) {
  console.log(`
Everything keeps running; Ctrl-C ends it. In another shell:

  # sign up, log in, keep the token
  curl -s ${issuer.url}/auth/v1/signup -H 'apikey: anon' -H 'content-type: application/json' -d '{"email":"me@example.com","password":"correct horse battery"}' >/dev/null
  TOKEN=$(curl -s '${issuer.url}/auth/v1/token?grant_type=password' -H 'apikey: anon' -H 'content-type: application/json' -d '{"email":"me@example.com","password":"correct horse battery"}' | node -p 'JSON.parse(require("fs").readFileSync(0)).access_token')

  # a thread of your own, and a chat in it
  THREAD=$(curl -s ${gate.url}/threads -H "authorization: Bearer $TOKEN" -d '{}' | node -p 'JSON.parse(require("fs").readFileSync(0)).thread_id')
  curl -N ${gate.url}/threads/$THREAD/runs/stream -H "authorization: Bearer $TOKEN" -d '{"assistant_id":"agent","input":{"messages":[{"role":"user","content":"hello"}]},"stream_mode":["messages"]}'

  # what is refused
  curl -i ${gate.url}/threads/$THREAD
  curl -i ${gate.url}/threads/$THREAD -H "authorization: Bearer \${TOKEN}x"
`);
  await new Promise((resolve) => {
    process.removeAllListeners("SIGINT");
    process.removeAllListeners("SIGTERM");
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
}
