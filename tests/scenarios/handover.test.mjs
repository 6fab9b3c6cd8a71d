// Who the upstream is told it works for is the gate's word alone: whatever a client writes under those names stays outside.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { request as httpRequest } from "node:http";
import { after, before, describe, it } from "node:test";
import { calculateJwkThumbprint, createLocalJWKSet, jwtVerify, SignJWT } from "jose";
import { startRecordingUpstream } from "../support/recording-upstream.mjs";
import { startGateFromEnvironment } from "../support/services.mjs";

/** Headers go out exactly as they are written, which fetch would not do. */
const send = (url, method, path, headers, body) => new Promise((resolve, reject) => {
  const { hostname, port } = new URL(url);
  const raw = [...headers.flat(), ...(body === undefined ? [] : ["content-type", "application/json", "content-length", String(Buffer.byteLength(body))])];
  const call = httpRequest({ hostname, port, method, path, headers: ["host", `${hostname}:${port}`, ...raw], agent: false }, (reply) => {
    let text = "";
    reply.setEncoding("utf8").on("data", (chunk) => (text += chunk)).on("end", () => resolve({ status: reply.statusCode, text })).on("error", reject);
  });
  call.on("error", reject).end(body);
});

for (const host of ["native", "edge"]) {
  describe(`${host}: what a client says of itself`, { timeout: 120_000 }, () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    let upstream, gate, keys, stranger;
    const mine = ["authorization", "Bearer user1-token"];
    const run = JSON.stringify({ assistant_id: "agent", input: {} });
    before(async () => {
      upstream = await startRecordingUpstream();
      const jwk = publicKey.export({ format: "jwk" });
      jwk.kid = await calculateJwkThumbprint(jwk);
      keys = createLocalJWKSet({ keys: [jwk] });
      stranger = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
      const config = {
        credentials: [{ kind: "static_tokens", tokens: [{ sha256: "83ae3de2fe84089ebfb5fdb3d61985edc244c248ecb641782de77f70bd503428", identity: "user1" }] }],
        upstream: { url: upstream.url, identity: { assertion: { key: "$KEY" }, headers: true, configurable: true } },
      };
      gate = await startGateFromEnvironment(host, { POSTERN_CONFIG: JSON.stringify(config), KEY: JSON.stringify(privateKey.export({ format: "jwk" })) });
    });
    after(async () => {
      await gate?.stop();
      await upstream?.close();
    });

    /** Every request that arrived says user1 and nobody else. */
    async function judgeArrived(from) {
      const arrived = upstream.requests.slice(from);
      assert.ok(arrived.length > 0, "something arrived");
      for (const one of arrived) {
        assert.deepEqual(one.header("x-user-id"), ["user1"]);
        assert.deepEqual(one.header("x-user-name"), ["user1"]);
        for (const [name, value] of one.headers) {
          assert.ok(!/_|assertion|auth-scheme|langgraph/i.test(name), `${name} arrived`);
          assert.ok(!/root/i.test(`${name}${value}`), `${name} holds what the client wrote`);
        }
        const [authorization, ...more] = one.header("authorization");
        assert.deepEqual(more, []);
        const { payload } = await jwtVerify(authorization.replace(/^Bearer /, ""), keys, { algorithms: ["ES256"], typ: "postern+jwt", audience: upstream.url });
        assert.deepEqual([payload.sub, payload.user.identity, payload.method, payload.path], ["user1", "user1", one.method, one.target.split("?")[0]]);
        assert.ok(payload.exp - payload.iat <= 60);
        assert.ok(!JSON.stringify(one.json ?? null).includes("root"));
      }
      return arrived;
    }

    const forged = {
      "x-user-id": [["x-user-id", "root"]],
      "X_User_Id": [["X_User_Id", "root"], ["x_user_name", "root"]],
      "x-user-id, many spellings": [["X-USER-ID", "root"], ["x-User-Id", "root"], ["X-User_Id", "root"], ["x-user-permissions", "root"]],
      "Connection: x-user-id": [["connection", "x-user-id, x-user-name"], ["x-user-id", "root"]],
      "langgraph_auth_user": [["langgraph_auth_user", "root"], ["langgraph-auth-user", "root"], ["x-langgraph-auth-user-id", "root"]],
      "another credential": [["x-api-key", "root"], ["proxy-authorization", "Bearer root"], ["cookie", "session=root"], ["x-auth-scheme", "langsmith"], ["x-postern-assertion", "root"]],
      "x-forwarded": [["x-forwarded-user", "root"], ["forwarded", "for=root"], ["x-remote-user", "root"]],
    };
    for (const [name, headers] of Object.entries(forged)) {
      it(`${name} stays outside`, async () => {
        const from = upstream.requests.length;
        const made = await send(gate.url, "POST", "/threads", [mine, ...headers], "{}");
        assert.equal(made.status, 200, made.text);
        const { thread_id } = JSON.parse(made.text);
        const wait = await send(gate.url, "POST", `/threads/${thread_id}/runs/wait`, [mine, ...headers], run);
        assert.equal(wait.status, 200, wait.text);
        const arrived = await judgeArrived(from);
        const { configurable } = arrived.at(-1).json.config;
        assert.deepEqual([configurable.langgraph_auth_user.identity, configurable.langgraph_auth_user_id, configurable.langgraph_auth_permissions], ["user1", "user1", []]);
      });
    }

    it("reserved keys in a body are refused, wherever they stand", async () => {
      const from = upstream.requests.length;
      for (const key of ["langgraph_auth_user", "langgraph_auth_user_id", "langgraph_auth_permissions"]) {
        for (const body of [{ config: { configurable: { [key]: "root" } } }, { context: { [key]: "root" } }, { [key]: "root" }]) {
          const { status, text } = await send(gate.url, "POST", "/runs/wait", [mine], JSON.stringify({ assistant_id: "agent", input: {}, ...body }));
          assert.equal(status, 400, `${JSON.stringify(body)}: ${text}`);
        }
      }
      assert.equal(upstream.requests.length, from);
    });

    it("an assertion is no credential: neither a stranger's nor the gate's own, caught on its way", async () => {
      assert.equal((await send(gate.url, "POST", "/threads/search", [mine], "{}")).status, 200);
      const caught = upstream.requests.at(-1).header("authorization")[0];
      const claims = { method: "POST", path: "/threads/search", user: { identity: "root" } };
      const made = await new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ: "postern+jwt" })
        .setIssuer("postern").setAudience(upstream.url).setSubject("root").setIssuedAt().setExpirationTime("1m").sign(stranger);
      const from = upstream.requests.length;
      for (const value of [caught, `Bearer ${made}`]) {
        assert.equal((await send(gate.url, "POST", "/threads/search", [["authorization", value]], "{}")).status, 401);
        assert.equal((await send(gate.url, "POST", "/threads/search", [mine, ["authorization", value]], "{}")).status, 400, "beside a good one");
      }
      assert.equal(upstream.requests.length, from);
    });
  });
}
