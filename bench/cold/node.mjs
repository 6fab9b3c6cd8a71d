// One token verified in a fresh process: prints the milliseconds from before the import to the user.
//   node cold/node.mjs postern|jose FILE      FILE: {"config", "env", "jwk", "token"}
import { readFileSync } from "node:fs";

const [peer, file] = process.argv.slice(2);
const { config, jwk, token, alg } = JSON.parse(readFileSync(file, "utf8"));
const begun = performance.now();
let identity;
if (peer === "postern") {
  const { Gate } = await import("postern");
  const gate = await Gate.create(config, { onWarning() {} });
  ({ identity } = await gate.authenticate(new Request("http://gate.example/threads", { headers: { authorization: `Bearer ${token}` } })));
} else {
  const { importJWK, jwtVerify } = await import("jose");
  const key = await importJWK(jwk, alg);
  const request = new Request("http://gate.example/threads", { headers: { authorization: `Bearer ${token}` } });
  ({ payload: { sub: identity } } = await jwtVerify(request.headers.get("authorization").slice(7), key, { algorithms: [alg] }));
}
console.log(JSON.stringify({ us: (performance.now() - begun) * 1000, identity }));
