// Tokens that were seen before: the same user again, and never longer than the token is good.
import assert from "node:assert/strict";
import { test } from "node:test";
import { config, jwks, issuer, request, token } from "./support.mjs";
import { Gate } from "../dist/index.node.js";
import { currentCore, UserTable } from "../dist/core.js";

const settings = (more = {}) => config({ issuers: [{ issuer, audience: "agents", keys: jwks, leeway_seconds: 0 }], ...more });
const refused = (gate, credential) => gate.authenticate(request("GET", "/", { as: credential })).then(() => "", (fault) => fault.code);

test("the same token gives the same user, frozen, with its claims", async () => {
  const gate = await Gate.create(settings());
  const credential = token({ name: "Ælice", teams: ["red", { deep: [1] }] });
  const first = await gate.authenticate(request("GET", "/", { as: credential }));
  const second = await gate.authenticate(request("POST", "/threads", { as: credential }));
  assert.equal(second, first);
  assert.equal(first.displayName, "Ælice");
  assert.deepEqual(first.claims.teams, ["red", { deep: [1] }]);
  assert.equal(first.claims, second.claims);
  for (const part of [first, first.permissions, first.claims, first.claims.teams, first.claims.teams[1].deep]) assert.ok(Object.isFrozen(part));
  // A copy has everything.
  assert.deepEqual(Object.keys({ ...first }), ["identity", "displayName", "permissions", "claims", "fields"]);
  assert.equal(JSON.parse(JSON.stringify(first)).claims.sub, "alice");
  gate.close();
});

test("a token that differs in a bit is verified, and refused", async () => {
  const gate = await Gate.create(settings());
  const good = token();
  await gate.authenticate(request("GET", "/", { as: good }));
  const [head, payload, signature] = good.split(".");
  for (let at = 0; at < signature.length - 1; at += 5) {
    const other = signature.slice(0, at) + (signature[at] === "A" ? "B" : "A") + signature.slice(at + 1);
    assert.equal(await refused(gate, `${head}.${payload}.${other}`), "signature_invalid");
  }
  assert.equal(await refused(gate, `${good}A`), "signature_malformed");
  assert.equal(await refused(gate, `${good}, Bearer ${good}`), "credential_malformed");
  assert.equal((await gate.authenticate(request("GET", "/", { as: good }))).identity, "alice");
});

test("it ends with the token", async () => {
  let now = Date.now();
  const gate = await Gate.create(settings(), { now: () => now });
  const credential = token();
  const { claims } = await gate.authenticate(request("GET", "/", { as: credential }));
  now = claims.exp * 1000 - 1;
  assert.equal(await refused(gate, credential), "");
  now = claims.exp * 1000;
  assert.equal(await refused(gate, credential), "token_expired");
});

test("it ends with the key", async () => {
  let now = Date.now();
  let set = jwks;
  const gate = await Gate.create(
    config({ issuers: [{ issuer, audience: "agents", jwks_uri: `${issuer}/jwks`, max_age_seconds: 60 }] }),
    { now: () => now, fetch: async () => Response.json(set) },
  );
  const credential = token();
  assert.equal(await refused(gate, credential), "");
  now += 20_000;
  assert.equal(await refused(gate, credential), "");
  set = { keys: [{ ...jwks.keys[0], kid: "another" }] };
  now += 45_000;
  assert.equal(await refused(gate, credential), "key_unknown");
});

test("gates do not share users, nor does one that comes after a trap", async () => {
  const credential = token();
  const one = await Gate.create(settings());
  const user = await one.authenticate(request("GET", "/", { as: credential }));
  const two = await Gate.create({ ...settings(), issuers: [{ issuer, audience: "others", keys: jwks }] });
  assert.equal(await refused(two, credential), "audience_mismatch");
  (await currentCore()).dead = true;
  const again = await one.authenticate(request("GET", "/", { as: credential }));
  assert.notEqual(again, user);
  assert.equal(again.identity, "alice");
});

test("with a budget of 0 nothing is remembered", async () => {
  const gate = await Gate.create(settings({ token_cache: { bytes_max: 0 } }));
  const credential = token();
  const first = await gate.authenticate(request("GET", "/", { as: credential }));
  const second = await gate.authenticate(request("GET", "/", { as: credential }));
  assert.notEqual(first, second);
  assert.equal(second.identity, "alice");
});

test("when the budget is small, users come and go and none is mistaken for another", async () => {
  const gate = await Gate.create(settings({ token_cache: { bytes_max: 4096 } }));
  const all = Array.from({ length: 30 }, (_, i) => [`user ${i}`, token({ sub: `user ${i}` })]);
  for (let round = 0; round < 4; round++) {
    for (const [identity, credential] of all) {
      for (let again = 0; again < 2; again++) {
        const user = await gate.authenticate(request("GET", "/", { as: credential }));
        assert.deepEqual([user.identity, user.claims.sub], [identity, identity]);
      }
    }
    all.reverse();
  }
});

test("recall: at once what authenticate would give, and nothing where it would have to look", async () => {
  let now = Date.now();
  let list = "[]";
  const gate = await Gate.create(settings(), { now: () => now, denylist: { get: async () => list } });
  const credential = token();
  const header = `Bearer ${credential}`;
  assert.equal(gate.recall(header), undefined, "never seen");
  const user = await gate.authenticate(request("GET", "/", { as: credential }));
  assert.equal(gate.recall(header), user);
  assert.equal(gate.recall(`bearer   ${credential}`), user);
  for (const other of [credential, `Basic ${credential}`, "Bearer ", "", `${header} `, `${header}A`, header.slice(0, -1), `${header}, ${header}`]) {
    assert.equal(gate.recall(other), undefined, other.length);
  }
  now += 6_000;
  assert.equal(gate.recall(header), undefined, "the denylist is due to be read");
  assert.equal(await gate.authenticate(request("GET", "/", { as: credential })), user);
  assert.equal(gate.recall(header), user);
  list = JSON.stringify([{ iss: issuer, sub: user.identity, issued_before: Math.floor(now / 1000) + 60 }]);
  now += 6_000;
  assert.equal(await refused(gate, credential), "credential_revoked");
  assert.equal(gate.recall(header), undefined, "denied");
  gate.close();
  assert.equal(gate.recall(header), undefined, "closed");
});

test("recall ends with the token, and with the instance", async () => {
  let now = Date.now();
  const gate = await Gate.create(settings(), { now: () => now });
  const credential = token();
  const { claims } = await gate.authenticate(request("GET", "/", { as: credential }));
  assert.notEqual(gate.recall(`Bearer ${credential}`), undefined);
  now = claims.exp * 1000;
  assert.equal(gate.recall(`Bearer ${credential}`), undefined);
  now = Date.now();
  assert.notEqual(await gate.authenticate(request("GET", "/", { as: credential })), undefined);
  (await currentCore()).dead = true;
  assert.equal(gate.recall(`Bearer ${credential}`), undefined);
});

test("recall keeps the gate's keys fresh as authenticate does", async () => {
  let now = Date.now();
  let fetches = 0;
  const gate = await Gate.create(
    config({ issuers: [{ issuer, audience: "agents", jwks_uri: `${issuer}/jwks`, max_age_seconds: 60 }] }),
    { now: () => now, fetch: async () => (fetches++, Response.json(jwks)) },
  );
  const credential = token();
  await gate.authenticate(request("GET", "/", { as: credential }));
  assert.equal(fetches, 1);
  now += 58_000;
  gate.recall(`Bearer ${credential}`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(fetches, 2);
});

test("a slot gives its user under its own serial alone, and one that nobody was given has none", () => {
  const users = new UserTable();
  const [alice, bob] = [{ identity: "alice" }, { identity: "bob" }];
  users.set(3, 7, alice);
  assert.equal(users.get(3, 7), alice);
  assert.deepEqual([0, 1, 2, 4, 1000].flatMap((slot) => [users.get(slot, 0), users.get(slot, 7)]), Array(10).fill(undefined));
  users.set(3, 8, bob);
  assert.deepEqual([users.get(3, 7), users.get(3, 8)], [undefined, bob]);
});

test("a refusal's headers are the same object each time", async () => {
  const gate = await Gate.create(settings());
  const fault = await gate.authenticate(request("GET", "/threads", { as: null })).catch((error) => error);
  assert.ok(fault.headers instanceof Headers);
  assert.equal(fault.headers, fault.headers);
  assert.match(fault.headers.get("www-authenticate"), /^Bearer/);
  assert.equal(fault.toResponse().headers.get("www-authenticate"), fault.headers.get("www-authenticate"));
});
