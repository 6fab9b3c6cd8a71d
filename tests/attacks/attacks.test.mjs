// The attack list: what JWT gates have fallen for, each tried on the npm package and on the native server.
//
// A row names the published weaknesses it would have stopped. What counts as stopped: the request is refused with one of the
// codes the row names, nothing reaches the upstream, and the answer holds nothing of the token. Where a row can, it also has a
// token one step away that must pass. At the end the list is printed with what came of it.
import assert from "node:assert/strict";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { deflateRawSync } from "node:zlib";
import { startFlakyIssuer } from "../support/flaky-issuer.mjs";
import { leaksIn, leaksInFolder, partsOf } from "../support/leaks.mjs";
import { startRecordingUpstream } from "../support/recording-upstream.mjs";
import { logFolder, removeLogs, root } from "../support/services.mjs";
import { encode, jwkSet, makeKey, makeToken, p256, signatureOf, withTailBits } from "../support/tokens.mjs";
import { configFault, hostNames, sendRaw, startHost } from "./hosts.mjs";

const now = () => Math.floor(Date.now() / 1000);
const audience = "agents";
// Long and random, so that finding it in a log is no accident.
const alice = `alice-${randomUUID()}`;
const mallory = `mallory-${randomUUID()}`;

const ec = makeKey("ES256", { kid: "ec" });
const ec384 = makeKey("ES384", { kid: "ec384" });
const rsa = makeKey("RS256", { kid: "rsa" });
const pss = makeKey("PS256", { kid: "pss" });
const ed = makeKey("EdDSA", { kid: "ed" });
// Some issuers publish no alg: then only the key's type says what it may be used for.
const bare = makeKey("RS256", { kid: "bare", jwk: { alg: undefined } });
const ec2 = makeKey("ES256", { kid: "ec2" });
const shared = makeKey("HS256", { kid: "shared" });
const attackers = { ec: makeKey("ES256", { kid: "ec" }), rsa: makeKey("RS256", { kid: "rsa" }) };
const spki = (key) => key.publicKey.export({ type: "spki", format: "pem" });

/** @type {import("../support/flaky-issuer.mjs").FlakyIssuer} */
let keyServer;
let upstream;
/** Where tokens point to that bring their own keys: asking it at all is a failure. */
let trap;
const trapped = [];

// ------------------------------------------------------------------------------------------------- configurations

/** An issuer whose keys stand in the configuration: nothing has to be fetched. */
const fixed = (settings = {}) => ({ issuer: keyServer.url, audience, keys: jwkSet(ec, ec384, rsa, pss, bare, ed), ...settings });
/** An issuer whose keys are fetched. */
const fetched = (settings = {}) => ({ issuer: keyServer.url, audience, jwks_uri: keyServer.jwksUri, ...settings });
const configOf = (issuer, more = {}) => ({ issuers: [issuer].flat(), upstream: { url: upstream.url }, ...more });

const claims = (more = {}) => ({ iss: keyServer.url, aud: audience, sub: alice, iat: now(), exp: now() + 600, ...more });
const good = (key = ec, lies = {}) => makeToken(key, claims(), lies);
const withClaims = (more, key = ec) => makeToken(key, claims(more));
const withHeader = (header, key = ec) => makeToken(key, claims(), { header });
/** The claims as text, so that a test can write what JSON.stringify would not. */
const withPayload = (edit, key = ec) => makeToken(key, {}, { payloadText: edit(JSON.stringify(claims())) });
const withHeaderText = (text, key = ec) => makeToken(key, claims(), { headerText: text });

// ------------------------------------------------------------------------------------------------------ attempts

/** What one row did on one host. */
class Attempts {
  refusals = 0;
  acceptances = 0;
  checks = 0;
  codes = new Set();

  /** @param {import("./hosts.mjs").Host} host */
  constructor(host) {
    this.host = host;
  }

  /** What reached the upstream while `work` ran. */
  async #arrived(work) {
    const from = upstream.requests.length;
    const result = await work();
    return { result, requests: upstream.requests.slice(from) };
  }

  /** @param {string} what @param {string} token @param {...string} codes any of these */
  async refused(what, token, ...codes) {
    let reply;
    const { requests } = await this.#arrived(async () => {
      try {
        reply = await this.host.send("POST", "/threads/search", {
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          body: "{}",
        });
      } catch (error) {
        // A character that no HTTP library puts into a header field.
        if (!(error instanceof TypeError)) throw error;
        reply = { status: 400, code: "not_sendable", headers: [], text: "" };
      }
    });
    assert.ok(codes.includes(reply.code ?? ""), `${what}: ${reply.status} ${reply.code}, expected ${codes.join(" or ")}`);
    assert.ok([400, 401, 414, 431, 503].includes(reply.status), `${what}: ${reply.status}`);
    assert.equal(requests.length, 0, `${what}: reached the upstream`);
    const secrets = [...partsOf("the token", token), ["a claim", alice], ["a claim", mallory]];
    assert.deepEqual(leaksIn(reply.text + JSON.stringify(reply.headers), /** @type {any} */ (secrets)), [], what);
    if (reply.status === 401) {
      const challenge = reply.headers.find(([name]) => name.toLowerCase() === "www-authenticate");
      assert.match(challenge?.[1] ?? "", /^Bearer/, what);
    }
    if (this.host.authenticate && reply.code !== "not_sendable") {
      const alone = await this.host.authenticate(token);
      assert.ok(codes.includes(alone.code ?? ""), `${what}: authenticate says ${alone.status} ${alone.code}`);
    }
    this.refusals += 1;
    this.codes.add(reply.code);
  }

  /** @param {string} what @param {string} token */
  async accepted(what, token, identity = alice) {
    const { result: reply, requests } = await this.#arrived(() =>
      this.host.send("POST", "/threads/search", {
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: "{}",
      }),
    );
    assert.equal(reply.status, 200, `${what}: ${reply.status} ${reply.code}`);
    assert.equal(requests.length, 1, what);
    assert.ok(requests[0].json.metadata.owner === identity, `${what}: another identity was asked for`);
    if (this.host.authenticate) {
      const alone = await this.host.authenticate(token);
      assert.equal(alone.status, 200, `${what}: authenticate says ${alone.code}`);
      assert.ok(alone.identity === identity, `${what}: authenticate gives another identity`);
    }
    this.acceptances += 1;
  }

  /** @param {string} what @param {object} config @param {RegExp} why */
  async notConfigurable(what, config, why) {
    const fault = await configFault(this.host.name, config);
    assert.ok(fault !== undefined, `${what}: the configuration was accepted`);
    assert.match(fault, why, what);
    this.refusals += 1;
    this.codes.add("configuration");
  }

  /** A request that is no token's business: what it answers and what reached the upstream. */
  async request(method, target, options) {
    const { result, requests } = await this.#arrived(() => this.host.send(method, target, options));
    return { ...result, requests };
  }

  async raw(bytes, silenceMs) {
    const { result, requests } = await this.#arrived(() => sendRaw(this.host.port, bytes, silenceMs));
    return { ...result, requests };
  }

  /** Something else was checked and holds. */
  held(what) {
    assert.ok(what);
    this.checks += 1;
  }

  get outcome() {
    const parts = [];
    if (this.refusals > 0) parts.push(`${this.refusals} refused (${[...this.codes].sort().join(", ")})`);
    if (this.acceptances > 0) parts.push(`${this.acceptances} rightly accepted`);
    if (this.checks > 0) parts.push(`${this.checks} ${this.checks === 1 ? "check" : "checks"} held`);
    return parts.join("; ");
  }
}

/**
 * @typedef {object} Row
 * @property {string} attack as in the list
 * @property {string} stops what it would have stopped; "" when nobody published one
 * @property {(attempts: Attempts) => Promise<void>} play
 * @property {() => object} [config] default: the fixed keys, on a host that all such rows share
 * @property {Partial<Record<"wasm" | "native", string>>} [elsewhere] why a host has no part in it
 */

/** @type {Row[]} */
const rows = [];
/** @param {Row} row */
const row = (row) => rows.push(row);

// ---------------------------------------------------------------------------------------------- the algorithm

row({
  attack: "alg none, any case",
  stops: "CVE-2015-9235",
  async play(attempts) {
    for (const alg of ["none", "None", "NONE", "nOnE", "", " none", "none\u0000", "null"]) {
      for (const signature of [() => "", (signature) => signature]) {
        await attempts.refused(`alg ${JSON.stringify(alg)}`, good(ec, { header: { alg }, signature }), "algorithm_not_allowed");
      }
    }
    for (const alg of [undefined, null, 0, [], ["none"], {}]) {
      await attempts.refused("alg is no string", good(ec, { header: { alg }, signature: () => "" }), "header_malformed");
    }
    await attempts.accepted("the same with its alg", good());
  },
});

row({
  attack: "HS/RS confusion",
  stops:
    "CVE-2023-48223, CVE-2026-34950, GHSA-ww5h-9m49-7xx4, CVE-2026-22817, CVE-2026-22818, CVE-2026-44699, CVE-2022-29217, CVE-2024-33663",
  async play(attempts) {
    for (const key of [rsa, bare, pss, ec, ed]) {
      const jwk = key.publicKey.export({ format: "jwk" });
      const publics = {
        "the PEM": spki(key),
        "the PEM without its last newline": spki(key).trimEnd(),
        "the DER": key.publicKey.export({ type: "spki", format: "der" }),
        "the JWK": JSON.stringify(jwk),
        "its number": Buffer.from(jwk.n ?? jwk.x, "base64url"),
        ...(jwk.n && { "the PKCS#1 PEM": key.publicKey.export({ type: "pkcs1", format: "pem" }) }),
      };
      for (const [what, secret] of Object.entries(publics)) {
        const forged = makeKey("HS256", { kid: key.kid, secret: "-".repeat(32) });
        const signing = { ...forged, privateKey: secret };
        for (const alg of ["HS256", " HS256", "HS256 ", "hs256"]) {
          await attempts.refused(`${what} of ${key.kid} as the secret, ${alg}`, good(signing, { header: { alg } }), "algorithm_not_allowed");
        }
        const nameless = good(signing, { header: { kid: undefined } });
        await attempts.refused(`${what} of ${key.kid} as the secret, without kid`, nameless, "algorithm_not_allowed");
      }
    }
    // One asymmetric algorithm for another: the key's type and its alg decide.
    for (const [key, alg] of [[ec, "RS256"], [rsa, "ES256"], [rsa, "PS256"], [pss, "RS256"], [ec, "ES384"], [rsa, "RS512"], [ec, "ES256K"], [ed, "ES256"], [ec, "EdDSA"], [ed, "Ed448"]]) {
      await attempts.refused(`${alg} with the key ${key.kid}`, good(key, { header: { alg } }), "algorithm_not_allowed");
    }
    await attempts.accepted("RS256 with an RSA key that names no alg", good(bare));
  },
});

row({
  attack: "HS/RS confusion where a secret is configured too",
  stops: "CVE-2022-29217, CVE-2024-33663",
  config: () => configOf(fixed({ symmetric_keys: [{ alg: "HS256", kid: "shared", secret: shared.secret }] })),
  async play(attempts) {
    await attempts.accepted("the shared secret's token", good(shared));
    await attempts.accepted("the RSA key's token", good(rsa));
    const forged = { ...shared, kid: "rsa", privateKey: spki(rsa) };
    await attempts.refused("the PEM as the secret", good(forged), "algorithm_not_allowed");
    await attempts.refused("the PEM as the secret, by the secret's kid", good({ ...forged, kid: "shared" }), "signature_invalid");
    await attempts.refused("RS256 by the secret's kid", good(rsa, { header: { kid: "shared" } }), "algorithm_not_allowed");
    await attempts.refused("HS512 with the HS256 secret", good({ ...shared, alg: "HS512" }), "algorithm_not_allowed");
    const listed = configOf(fixed({ algorithms: ["RS256", "HS256"] }));
    await attempts.notConfigurable("HS256 in the list of algorithms without a secret", listed, /symmetric/);
  },
});
row({
  attack: "empty or short HMAC key",
  stops: "CVE-2026-44351",
  config: () => configOf(fixed({ symmetric_keys: [{ alg: "HS256", secret: shared.secret }] })),
  async play(attempts) {
    for (const [alg, bytes] of [["HS256", 32], ["HS384", 48], ["HS512", 64]]) {
      for (const length of [0, 1, bytes - 1]) {
        const config = configOf(fixed({ symmetric_keys: [{ alg, secret: "x".repeat(length) }] }));
        await attempts.notConfigurable(`${alg} with ${length} bytes`, config, /secret/);
      }
      assert.equal(await configFault(attempts.host.name, configOf(fixed({ symmetric_keys: [{ alg, secret: "x".repeat(bytes) }] }))), undefined);
    }
    for (const secret of ["", "\0", "secret", "null", "undefined"]) {
      const forged = { ...shared, kid: undefined, privateKey: secret };
      await attempts.refused("signed with a guess", good(forged), "signature_invalid");
    }
    await attempts.accepted("the shared secret's token", good({ ...shared, kid: undefined }));
  },
});

// ---------------------------------------------------------------------------------------------------- the header

row({
  attack: "kid as path, SQL or URL",
  stops: "RFC 8725 3.10",
  async play(attempts) {
    const kids = [
      "../../../../dev/null", "/dev/null", "ec' OR '1'='1", "ec\u0000", "ec ", "EC", "e", "ec/../rsa", "%65c", `${trap.url}/key`, "é", "x".repeat(256), "__proto__",
    ];
    for (const kid of kids) await attempts.refused(`kid ${JSON.stringify(kid)}`, withHeader({ kid }), "key_unknown");
    await attempts.refused("a kid of 257 bytes", withHeader({ kid: "x".repeat(257) }), "header_malformed");
    for (const kid of [0, null, true, ["ec"], { kid: "ec" }]) await attempts.refused("a kid that is no string", withHeader({ kid }), "header_malformed");
    // What an empty file would be as a secret.
    const empty = good({ ...shared, kid: "../../../../dev/null", privateKey: "" });
    await attempts.refused("signed with nothing, kid a path", empty, "algorithm_not_allowed");
    await attempts.accepted("kid ec", good());
    assert.deepEqual(trapped, [], "nobody followed the kid");
  },
});

row({
  attack: "jku, x5u, jwk, x5c in the header",
  stops: "CVE-2018-0114",
  async play(attempts) {
    const brought = {
      jwk: attackers.ec.jwk,
      jku: `${trap.url}/jwks`,
      x5u: `${trap.url}/chain`,
      x5c: [attackers.ec.publicKey.export({ type: "spki", format: "der" }).toString("base64")],
      x5t: "a".repeat(27),
    };
    for (const [name, value] of Object.entries(brought)) {
      await attempts.refused(`${name} of the attacker's key`, good(attackers.ec, { header: { [name]: value } }), "signature_invalid");
      await attempts.refused(`${name}, no kid`, good(attackers.ec, { header: { [name]: value, kid: "attacker" } }), "key_unknown");
      await attempts.accepted(`${name} on a good token is not read`, good(ec, { header: { [name]: value } }));
    }
    await attempts.refused("all of them", good(attackers.ec, { header: brought }), "signature_invalid");
    assert.deepEqual(trapped, [], "nobody asked the attacker's server");
    attempts.held("the attacker's server was never asked");
  },
});

row({
  attack: "nested JWE around an unsigned JWT",
  stops: "CVE-2026-29000",
  async play(attempts) {
    const inner = `${encode({ alg: "none" })}.${encode(claims({ sub: mallory }))}.`;
    const part = () => encode(randomBytes(24));
    for (const header of [
      { alg: "RSA-OAEP", enc: "A256GCM", cty: "JWT", kid: "rsa" },
      { alg: "dir", enc: "A128CBC-HS256", cty: "JWT" },
      { alg: "ECDH-ES", enc: "A256GCM", kid: "ec" },
    ]) {
      await attempts.refused("five parts", [encode(header), part(), part(), encode(inner), part()].join("."), "jws_malformed");
      await attempts.refused("three parts", [encode(header), encode(inner), part()].join("."), "payload_malformed", "algorithm_not_allowed");
    }
    const nested = makeToken(ec, {}, { header: { cty: "JWT" }, payloadText: inner });
    await attempts.refused("an unsigned JWT as the payload of a signed one", nested, "payload_malformed");
    const twice = makeToken(ec, {}, { header: { cty: "JWT" }, payloadText: good() });
    await attempts.refused("a signed JWT as the payload of a signed one", twice, "payload_malformed");
  },
});

row({
  attack: "crit, b64=false",
  stops: "CVE-2026-35042, CVE-2025-59420",
  async play(attempts) {
    for (const header of [
      { crit: ["exp"], exp: now() + 600 }, { crit: ["x"], x: 1 }, { crit: [] }, { crit: "exp" }, { crit: null }, { crit: ["alg"] },
      { crit: ["b64"], b64: false }, { crit: ["b64"], b64: true }, { b64: false }, { b64: true }, { crit: ["http://example.com/x"] },
    ]) {
      await attempts.refused(`the header members ${Object.keys(header)}`, withHeader(header), "header_unsupported");
    }
    const raw = JSON.stringify(claims());
    const first = encode({ alg: "ES256", kid: "ec", b64: false, crit: ["b64"] });
    const unencoded = `${first}.${raw}.${encode(signatureOf(ec, `${first}.${raw}`))}`;
    await attempts.refused("an unencoded payload", unencoded, "credential_malformed");
  },
});

row({
  attack: "compression (zip)",
  stops: "CVE-2024-28176",
  async play(attempts) {
    const bomb = deflateRawSync(Buffer.from(JSON.stringify(claims({ padding: "0".repeat(1_000_000) }))));
    await attempts.refused("a compressed payload", makeToken(ec, {}, { header: { zip: "DEF" }, payloadText: bomb }), "header_unsupported");
    await attempts.refused("zip on a plain payload", withHeader({ zip: "DEF" }), "header_unsupported");
    const silent = makeToken(ec, {}, { payloadText: bomb });
    await attempts.refused("a compressed payload that does not say so", silent, "payload_malformed");
  },
});

row({
  attack: "typ confusion: ID token, logout token, DPoP proof as access token",
  stops: "RFC 8725 3.11",
  async play(attempts) {
    for (const typ of ["dpop+jwt", "logout+jwt", "application/logout+jwt", "secevent+jwt", "JOSE", "JWE", "id_token+jwt", "", "jwt ", "at+jwt;v=1", "text/jwt"]) {
      await attempts.refused(`typ ${JSON.stringify(typ)}`, withHeader({ typ }), "type_not_allowed");
    }
    for (const typ of [null, 1, ["JWT"]]) await attempts.refused("a typ that is no string", withHeader({ typ }), "header_malformed");
    for (const typ of ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", undefined]) {
      await attempts.accepted(`typ ${typ}`, withHeader({ typ }));
    }
    const event = { "http://schemas.openid.net/event/backchannel-logout": {} };
    for (const [what, more] of Object.entries({
      "an ID token: nonce": { nonce: "n" },
      "an ID token: at_hash": { at_hash: "h", scope: "openid" },
      "an ID token: c_hash": { c_hash: "h" },
      "a logout token": { events: event, sid: "1" },
      "a DPoP proof": { htm: "GET", htu: "https://api.example/" },
    })) {
      await attempts.refused(what, withClaims(more), "token_kind_not_allowed");
    }
  },
});

// ------------------------------------------------------------------------------------------------- the signature

row({
  attack: "r or s is 0, n or more",
  stops: "CVE-2022-21449",
  async play(attempts) {
    const most = (1n << 256n) - 1n;
    for (const [r, s] of [[0n, 0n], [0n, 1n], [1n, 0n], [p256.order, p256.order], [p256.order, 1n], [1n, p256.order], [p256.order + 1n, 1n], [most, most], [1n, 1n]]) {
      await attempts.refused("a chosen r and s", good(ec, { signature: () => p256.join(r, s) }), "signature_invalid");
    }
    for (const half of ["r", "s"]) {
      const zero = (signature) => {
        const parts = { ...p256.split(signature), [half]: 0n };
        return p256.join(parts.r, parts.s);
      };
      await attempts.refused(`a good signature with ${half} = 0`, good(ec, { signature: zero }), "signature_invalid");
    }
    await attempts.refused("ES384, all zero", good(ec384, { signature: () => Buffer.alloc(96) }), "signature_invalid");
    await attempts.refused("RS256, all zero", good(rsa, { signature: () => Buffer.alloc(256) }), "signature_invalid");
    // RFC 8032 5.1.7: S + L would verify too if S were not compared with L.
    const moved = (signature) => {
      const order = 2n ** 252n + 27742317777372353535851937790883648493n;
      const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString("hex")}`) + order;
      return Buffer.concat([signature.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, "0"), "hex").reverse()]);
    };
    await attempts.refused("EdDSA, S + L", good(ed, { signature: moved }), "signature_invalid");
    await attempts.refused("EdDSA, all zero", good(ed, { signature: () => Buffer.alloc(64) }), "signature_invalid");
    // R the identity and S zero: what a key of small order would sign everything with.
    await attempts.refused("EdDSA, R = 1, S = 0", good(ed, { signature: () => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]) }), "signature_invalid");
    await attempts.refused("RS256, one", good(rsa, { signature: () => Buffer.concat([Buffer.alloc(255), Buffer.from([1])]) }), "signature_invalid");
    for (const key of [ec, ec384, ed, rsa, pss]) await attempts.accepted("a good signature", good(key));
  },
});

row({
  attack: "signature length",
  stops: "HAProxy heap overflow (648b0e7)",
  async play(attempts) {
    const der = (signature) => {
      const int = (bytes) => Buffer.concat([Buffer.from([2, bytes.length + 1, 0]), bytes]);
      const body = Buffer.concat([int(signature.subarray(0, 32)), int(signature.subarray(32))]);
      return Buffer.concat([Buffer.from([0x30, body.length]), body]);
    };
    const changes = {
      empty: () => "",
      "a byte short": (signature) => signature.subarray(1),
      "a byte short at the end": (signature) => signature.subarray(0, -1),
      "a byte more": (signature) => Buffer.concat([signature, Buffer.from([0])]),
      "a zero in front": (signature) => Buffer.concat([Buffer.from([0]), signature]),
      twice: (signature) => Buffer.concat([signature, signature]),
      "half of it": (signature) => signature.subarray(0, signature.length / 2),
      "5,000 bytes": () => Buffer.alloc(5000, 0x30),
    };
    for (const key of [ec, ec384, rsa, pss, ed]) {
      for (const [what, signature] of Object.entries(changes)) await attempts.refused(`${key.alg}, ${what}`, good(key, { signature }), "signature_malformed");
    }
    await attempts.refused("ES256 as DER", good(ec, { signature: der }), "signature_malformed");
    await attempts.refused("21,830 characters", good(ec, { signature: () => "A".repeat(21_830) }), "token_too_large", "head_too_large");
    await attempts.refused("8,600 characters", good(ec, { signature: () => "A".repeat(8_600) }), "token_too_large");
  },
});

row({
  attack: "ECDSA malleability (n-s)",
  stops: "OWASP CheatSheetSeries 2242",
  async play(attempts) {
    const token = good();
    const [first, second, third] = token.split(".");
    const twin = [first, second, encode(p256.twin(Buffer.from(third, "base64url")))].join(".");
    assert.notEqual(twin, token);
    await attempts.accepted("the token", token);
    // RFC 7518 accepts both, so neither the token nor its hash may name a user, a login or a revocation.
    await attempts.accepted("its twin is the same user", twin);
    await attempts.accepted("the token again", token);
  },
});

row({
  attack: "a token's cached verdict given to another token",
  stops: "CVE-2026-35039, CVE-2026-41131, CVE-2026-48096",
  async play(attempts) {
    const iat = now();
    const of = (sub, more = {}) => makeToken(ec, claims({ sub, iat, ...more }));
    const tokens = [of(alice), of(mallory)];
    for (let round = 0; round < 3; round++) {
      await attempts.accepted("alice", tokens[0], alice);
      await attempts.accepted("mallory", tokens[1], mallory);
    }
    const [header, , signature] = tokens[0].split(".");
    const [, payload, other] = tokens[1].split(".");
    await attempts.refused("alice's signature on mallory's claims", `${header}.${payload}.${signature}`, "signature_invalid");
    await attempts.refused("mallory's signature on alice's claims", `${tokens[0].split(".").slice(0, 2).join(".")}.${other}`, "signature_invalid");
    // A cache whose key leaves something out would not see the difference.
    const cut = tokens[0].slice(0, -1);
    await attempts.refused("all but the last character", cut, "jws_malformed", "signature_malformed");
    await attempts.refused("one character more", `${tokens[0]}A`, "jws_malformed", "signature_malformed");
    await attempts.refused("other bits where none are used", withTailBits(tokens[0]), "jws_malformed");
    const brief = of(alice, { exp: now() + 1 - 5 });
    await attempts.accepted("a token's last second", brief);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await attempts.refused("the same when it is over", brief, "token_expired");
  },
});

// ------------------------------------------------------------------------------------------- encoding and JSON

row({
  attack: "base64url: padding, whitespace, + and /, bits that are not used, CR LF",
  stops: "RFC 7515 2",
  async play(attempts) {
    const malformed = ["jws_malformed", "credential_malformed"];
    // The header and the payload are changed before they are signed, so that only the decoder can object.
    const changes = {
      "=": (text) => `${text}=`,
      "==": (text) => `${text}==`,
      "a space inside": (text) => `${text.slice(0, 8)} ${text.slice(8)}`,
      "a tab inside": (text) => `${text.slice(0, 8)}\t${text.slice(8)}`,
      "a dot-like character": (text) => `${text.slice(0, 8)}~${text.slice(8)}`,
      "a lone last character": (text) => `${text}${"A".repeat(4 - ((text.length + 3) % 4))}`,
    };
    for (const [what, change] of Object.entries(changes)) {
      for (const part of ["encodedHeader", "encodedPayload"]) await attempts.refused(`${part}: ${what}`, good(ec, { [part]: change }), ...malformed);
      await attempts.refused(`signature: ${what}`, good(ec, { signature: (bytes) => change(encode(bytes)) }), ...malformed);
    }
    for (const [what, characters] of [["CR LF", "\r\n"], ["LF", "\n"]]) {
      const token = good(ec, { encodedPayload: (text) => `${text.slice(0, 8)}${characters}${text.slice(8)}` });
      await attempts.refused(what, token, "not_sendable", "request_malformed");
    }
    // The alphabet of plain base64, where it makes a difference.
    for (const part of ["encodedPayload", "signature"]) {
      for (let tries = 0; ; tries++) {
        assert.ok(tries < 200);
        const lie = part === "signature" ? { signature: (bytes) => bytes.toString("base64").replaceAll("=", "") } : { encodedPayload: (text) => text.replaceAll("-", "+").replaceAll("_", "/") };
        const token = makeToken(ec, claims({ padding: `${"?~ÿ".repeat(tries)}` }), lie);
        if (!/[+/]/.test(token.split(".")[part === "signature" ? 2 : 1])) continue;
        await attempts.refused(`${part}: + and /`, token, ...malformed);
        break;
      }
    }
    const [header, payload, signature] = good(ec384).split(".").map((text) => (text.length % 4 === 0 ? undefined : text));
    assert.ok(signature === undefined, "96 bytes use every bit");
    assert.ok(header !== undefined || payload !== undefined);
    await attempts.refused("signature: bits that are not used", withTailBits(good(ec)), ...malformed);
    for (const part of ["encodedHeader", "encodedPayload"]) {
      for (let padding = 0; padding < 3; padding++) {
        const texts = { header: { pad: "x".repeat(padding) }, claims: { pad: "x".repeat(padding) } };
        let changed = false;
        const change = (text) => (text.length % 4 === 0 ? text : ((changed = true), withTailBits(text)));
        const token = makeToken(ec, claims(texts.claims), { header: texts.header, [part]: change });
        if (changed) await attempts.refused(`${part}: bits that are not used`, token, ...malformed);
      }
    }
    await attempts.accepted("the same without any of it", good());
  },
});

row({
  attack: "duplicate JSON names",
  stops: "GHSA-4gph-2hhr-5mwg",
  async play(attempts) {
    const twice = (name, value) => (text) => `{${JSON.stringify(name)}:${JSON.stringify(value)},${text.slice(1)}`;
    for (const [name, value] of [["sub", mallory], ["exp", 1], ["iss", "https://other.example"], ["aud", "other"], ["role", "a"]]) {
      const edit = name === "role" ? (text) => twice("role", "b")(twice("role", "a")(text)) : twice(name, value);
      await attempts.refused(`${name} twice`, withPayload(edit), "payload_malformed");
    }
    await attempts.refused("sub twice, once escaped", withPayload((text) => `{"\\u0073ub":${JSON.stringify(mallory)},${text.slice(1)}`), "payload_malformed");
    await attempts.refused("twice in a nested object", withPayload((text) => `{"app":{"role":"user","role":"admin"},${text.slice(1)}`), "payload_malformed");
    for (const header of [
      '{"alg":"none","alg":"ES256","kid":"ec"}', '{"alg":"ES256","kid":"ec","alg":"none"}', '{"alg":"ES256","kid":"x","kid":"ec"}',
      '{"alg":"ES256","kid":"ec","typ":"dpop+jwt","typ":"JWT"}', '{"alg":"ES256","kid":"ec","jwk":{"kty":"EC","kty":"oct"}}',
    ]) {
      await attempts.refused("twice in the header", withHeaderText(header), "header_malformed");
    }
    // Names differ when their case does: a decoder that folds it would take mallory's.
    await attempts.accepted("SUB is another name", withPayload((text) => `{"SUB":${JSON.stringify(mallory)},"Sub":${JSON.stringify(mallory)},${text.slice(1)}`));
    await attempts.refused("only SUB", withClaims({ sub: undefined, SUB: alice }), "claim_missing");
  },
});

row({
  attack: "invalid UTF-8, BOM, lone surrogates",
  stops: "RFC 8725 3.7",
  async play(attempts) {
    const bytes = (edit) => makeToken(ec, {}, { payloadText: edit(Buffer.from(JSON.stringify(claims({ sub: "@@@@" })))) });
    const put = (...values) => (text) => {
      const at = text.indexOf("@@@@");
      return Buffer.concat([text.subarray(0, at), Buffer.from(values), text.subarray(at + 4)]);
    };
    for (const values of [[0xff], [0xc3], [0xc0, 0x80], [0xe0, 0x80, 0xaf], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x80], [0xf8, 0x88, 0x80, 0x80, 0x80]]) {
      await attempts.refused("bytes that are no UTF-8", bytes(put(...values)), "payload_malformed");
    }
    for (const escape of ["\\ud800", "\\udc00", "\\udc00\\ud800", "\\ud800x"]) {
      await attempts.refused("half a surrogate pair", withPayload((text) => text.replace(alice, escape)), "payload_malformed");
    }
    const bom = Buffer.from([0xef, 0xbb, 0xbf]);
    await attempts.refused("a BOM before the claims", bytes((text) => Buffer.concat([bom, text])), "payload_malformed");
    await attempts.refused("a BOM before the header", withHeaderText(Buffer.concat([bom, Buffer.from('{"alg":"ES256","kid":"ec"}')])), "header_malformed");
    const wide = Buffer.from(JSON.stringify(claims()), "utf16le");
    await attempts.refused("UTF-16", makeToken(ec, {}, { payloadText: wide }), "payload_malformed");
    for (const text of ["[]", "null", '"text"', "1", "", "{}x", "{'a':1}", '{"a":1,}', '{"a":01}', '{"a":NaN}', "{/**/}"]) {
      await attempts.refused("no strict JSON object", makeToken(ec, {}, { payloadText: text }), "payload_malformed", "claim_missing");
    }
    await attempts.accepted("a whole pair", makeToken(ec, {}, { payloadText: JSON.stringify(claims()).replace("{", '{"note":"\\ud83d\\ude00",') }));
  },
});

row({
  attack: "deep nesting, huge token, many dots",
  stops: "CVE-2025-30204, CVE-2025-27144, CVE-2025-22868, CVE-2025-61920",
  async play(attempts) {
    const nested = (depth) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
    // The claims themselves are the first level.
    await attempts.accepted("16 levels", withPayload((text) => `{"deep":${nested(15)},${text.slice(1)}`));
    await attempts.refused("17 levels", withPayload((text) => `{"deep":${nested(16)},${text.slice(1)}`), "payload_malformed");
    await attempts.refused("1,000 levels", withPayload((text) => `{"deep":${"[".repeat(1000)}${"]".repeat(1000)},${text.slice(1)}`), "payload_malformed");
    await attempts.refused("5,000 levels", withPayload((text) => `{"deep":${"[".repeat(5000)}${"]".repeat(5000)},${text.slice(1)}`), "token_too_large", "head_too_large");
    await attempts.refused("5 levels in the header", withHeaderText(`{"alg":"ES256","kid":"ec","deep":${nested(4)}}`), "header_malformed");
    await attempts.refused("2,000 values", withPayload((text) => `{"many":[${"0,".repeat(1999)}0],${text.slice(1)}`), "payload_malformed");
    await attempts.refused("100 members in the header", withHeaderText(JSON.stringify({ alg: "ES256", kid: "ec", ...Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`a${i}`, i])) })), "header_malformed");
    await attempts.refused("a header of 200 KB", withHeader({ pad: "x".repeat(200_000) }), "token_too_large", "head_too_large");
    const size = 8 * 1024;
    const padded = (length) => withClaims({ padding: "x".repeat(length) });
    const room = Math.floor(((size - padded(0).length) * 3) / 4) - 3;
    await attempts.accepted("just within 8 KiB", padded(room));
    await attempts.refused("just over 8 KiB", padded(room + 8), "token_too_large");
    for (const dots of [0, 1, 3, 4, 8_000]) {
      await attempts.refused(`${dots} dots`, `eyJhbGciOiJFUzI1NiJ9${".".repeat(dots)}`, "jws_malformed");
    }
    await attempts.refused("10,000 dots", ".".repeat(10_000), "token_too_large");
    const started = performance.now();
    for (let i = 0; i < 100; i++) await attempts.host.send("POST", "/threads/search", { headers: { authorization: `Bearer ${".".repeat(8_000)}` }, body: "{}" });
    assert.ok(performance.now() - started < 2000, "a token of dots costs nothing");
    attempts.held("100 tokens of 8,000 dots within 2 s");
  },
});

// ----------------------------------------------------------------------------------------------------- the claims

row({
  attack: "aud missing, in a list, or longer than ours",
  stops: "CVE-2020-26160",
  async play(attempts) {
    await attempts.refused("no aud", withClaims({ aud: undefined }), "claim_missing");
    for (const aud of ["agents-admin", "my-agents", "agent", "Agents", "agents ", "", ["agents-admin"], [], ["agents-admin", "other"]]) {
      await attempts.refused("another audience", withClaims({ aud }), "audience_mismatch");
    }
    for (const aud of [null, 0, true, {}, { agents: true }, [["agents"]], ["agents", 1], [null]]) await attempts.refused("aud of a wrong type", withClaims({ aud }), "claim_malformed");
    await attempts.accepted("ours", withClaims({ aud: "agents" }));
    await attempts.accepted("ours in a list", withClaims({ aud: ["other", "agents"] }));
  },
});

row({
  attack: "iss as a list, prefix or superstring",
  stops: "CVE-2025-30144, CVE-2024-53861, CVE-2025-59936",
  async play(attempts) {
    const { url } = keyServer;
    for (const iss of [`${url}/`, `${url}.evil.example`, `${url}/evil`, url.slice(0, -1), url.slice(0, 16), ` ${url}`, url.toUpperCase(), "", "https://evil.example"]) {
      await attempts.refused("another issuer", withClaims({ iss }), "issuer_unknown");
    }
    for (const iss of [[url], [url, "https://evil.example"], ["https://evil.example", url], null, 0, { url }]) await attempts.refused("iss of a wrong type", withClaims({ iss }), "claim_malformed");
    await attempts.refused("no iss", withClaims({ iss: undefined }), "claim_missing");
    await attempts.accepted("ours", good());
  },
});

row({
  attack: "the same kid from two issuers",
  stops: "agentgateway 3609, CVE-2025-59936",
  config: () =>
    configOf([
      { issuer: keyServer.url, audience, keys: jwkSet(ec), identity_prefix: "first:" },
      { issuer: "https://second.example", audience, keys: jwkSet(attackers.ec), identity_prefix: "second:" },
    ]),
  async play(attempts) {
    const second = { iss: "https://second.example" };
    await attempts.accepted("the first issuer's", good(), `first:${alice}`);
    await attempts.accepted("the second issuer's", makeToken(attackers.ec, claims(second)), `second:${alice}`);
    await attempts.refused("the second's key for the first issuer", good(attackers.ec), "signature_invalid");
    await attempts.refused("the first's key for the second issuer", withClaims(second), "signature_invalid");
    const unprefixed = configOf([fixed(), { issuer: "https://second.example", audience, keys: jwkSet(attackers.ec) }]);
    await attempts.notConfigurable("two issuers whose users could be taken for each other", unprefixed, /identity_prefix|shared_identities/);
  },
});

row({
  attack: "exp and nbf of a wrong type or range",
  stops: "CVE-2026-25537",
  async play(attempts) {
    await attempts.refused("no exp", withClaims({ exp: undefined }), "claim_missing");
    const wrong = ["null", `"${now() + 600}"`, "true", "[]", "{}", "-1", "1e300", "9007199254740993", "1e16", '"never"', `[${now() + 600}]`];
    for (const claim of ["exp", "nbf", "iat"]) {
      for (const value of wrong) {
        const token = withPayload((text) => {
          const object = JSON.parse(text);
          delete object[claim];
          return `{"${claim}":${value},${JSON.stringify(object).slice(1)}`;
        });
        await attempts.refused(`${claim}: ${value.slice(0, 12)}`, token, "claim_malformed");
      }
      const infinite = withPayload((text) => `{"${claim}":1e999,${text.slice(1).replace(/"(exp|iat)":\d+,?/g, "").replace(",}", "}")}`);
      await attempts.refused(`${claim}: 1e999`, infinite, "payload_malformed");
    }
    await attempts.refused("exp 0", withClaims({ exp: 0 }), "token_expired");
    await attempts.refused("exp with a fraction, over", withClaims({ exp: now() - 10.5 }), "token_expired");
    await attempts.accepted("exp with a fraction", withClaims({ exp: now() + 10.5 }));
    await attempts.refused("nbf tomorrow", withClaims({ nbf: now() + 86_400 }), "token_not_yet_valid");
    await attempts.accepted("nbf now", withClaims({ nbf: now() }));
    for (const sub of [null, 0, true, [alice], { id: alice }]) await attempts.refused("sub of a wrong type", withClaims({ sub }), "claim_malformed");
    for (const sub of ["", "x".repeat(257)]) await attempts.refused("an empty or long sub", withClaims({ sub }), "identity_malformed");
  },
});

row({
  attack: "iat in the future",
  stops: "",
  async play(attempts) {
    for (const ahead of [10, 3600, 10 * 365 * 86_400]) await attempts.refused(`${ahead} s ahead`, withClaims({ iat: now() + ahead, exp: now() + ahead + 600 }), "token_issued_in_future");
    await attempts.accepted("within the leeway", withClaims({ iat: now() + 3 }));
    await attempts.accepted("no iat", withClaims({ iat: undefined }));
  },
});

row({
  attack: "clock skew without a bound",
  stops: "",
  config: () => configOf(fixed({ leeway_seconds: 300 })),
  async play(attempts) {
    await attempts.accepted("290 s over, 300 allowed", withClaims({ exp: now() - 290 }));
    await attempts.refused("310 s over", withClaims({ exp: now() - 310 }), "token_expired");
    await attempts.refused("310 s early", withClaims({ nbf: now() + 310 }), "token_not_yet_valid");
    for (const leeway_seconds of [301, 86_400, -1, 1.5, "300", null]) await attempts.notConfigurable(`a leeway of ${leeway_seconds}`, configOf(fixed({ leeway_seconds })), /leeway_seconds/);
  },
});

row({
  attack: "clock skew, as it is by default",
  stops: "",
  async play(attempts) {
    await attempts.accepted("3 s over", withClaims({ exp: now() - 3 }));
    await attempts.refused("10 s over", withClaims({ exp: now() - 10 }), "token_expired");
    await attempts.accepted("3 s early", withClaims({ nbf: now() + 3 }));
    await attempts.refused("10 s early", withClaims({ nbf: now() + 10 }), "token_not_yet_valid");
  },
});

row({
  attack: "a cnf-bound token used as a bearer token",
  stops: "giantswarm mcp-oauth 383",
  async play(attempts) {
    for (const cnf of [{ jkt: "x".repeat(43) }, { "x5t#S256": "x".repeat(43) }, { kid: "ec" }, { jwk: ec2.jwk }, {}, null, "x"]) await attempts.refused("cnf", withClaims({ cnf }), "token_kind_not_allowed", "claim_malformed");
  },
});

row({
  attack: "private key inside a DPoP proof's jwk",
  stops: "CVE-2026-54431",
  async play(attempts) {
    const proofOf = (jwk) => makeToken(attackers.ec, { htm: "POST", htu: "https://gate.example/threads/search", iat: now(), jti: randomUUID() }, { header: { typ: "dpop+jwt", kid: undefined, jwk } });
    const privateJwk = attackers.ec.privateKey.export({ format: "jwk" });
    for (const jwk of [attackers.ec.jwk, privateJwk]) {
      const proof = proofOf(jwk);
      await attempts.refused("the proof as a token", proof, "claim_missing", "type_not_allowed", "header_malformed");
      const scheme = await attempts.request("POST", "/threads/search", { headers: { authorization: `DPoP ${good()}`, dpop: proof }, body: "{}" });
      assert.deepEqual([scheme.status, scheme.code, scheme.requests.length], [401, "credential_missing", 0], "DPoP is not offered");
      const bearer = await attempts.request("POST", "/threads/search", { headers: { authorization: `Bearer ${good()}`, dpop: proof }, body: "{}" });
      assert.equal(bearer.status, 200, "a proof beside a bearer token changes nothing");
      assert.deepEqual(bearer.requests[0].header("dpop"), []);
      attempts.held("the DPoP scheme is refused, and a proof does not reach the upstream");
    }
  },
});

row({
  attack: "ReDoS in claim rules",
  stops: "CVE-2026-35041",
  config: () => configOf(fixed({ audience: ["agents.*", "^(a+)+$"], require: { role: "^(a+)+$" } })),
  async play(attempts) {
    const role = "^(a+)+$";
    const started = performance.now();
    await attempts.refused("what the pattern would take long over", withClaims({ aud: "agents.*", role: `${"a".repeat(3000)}!` }), "claim_mismatch");
    await attempts.refused("an audience that it would take long over", withClaims({ aud: `${"a".repeat(3000)}!`, role }), "audience_mismatch");
    assert.ok(performance.now() - started < 1000);
    await attempts.refused("what the pattern would match", withClaims({ aud: "agents.*", role: "aaa" }), "claim_mismatch");
    await attempts.refused("an audience that it would match", withClaims({ aud: "agents-evil", role }), "audience_mismatch");
    await attempts.accepted("the text itself", withClaims({ aud: "agents.*", role }));
  },
});

row({
  attack: "unicode claims in headers",
  stops: "liboauth2 a38e159",
  async play(attempts) {
    for (const sub of ["a\r\nx-admin: 1", "a\nb", "a\u0000b", "\u007f", "\u001b[2J"]) await attempts.refused("a control character in the identity", withClaims({ sub }), "identity_malformed");
    // No normalisation: what looks alike is not the same user.
    const composed = `jos\u00e9-${alice}`;
    const decomposed = `jose\u0301-${alice}`;
    await attempts.accepted("composed", withClaims({ sub: composed }), composed);
    await attempts.accepted("decomposed", withClaims({ sub: decomposed }), decomposed);
    await attempts.accepted("full width", withClaims({ sub: `\uff41${alice}` }), `\uff41${alice}`);
    const reply = await attempts.request("POST", "/threads/search", { headers: { authorization: `Bearer ${withClaims({ sub: composed })}` }, body: "{}" });
    assert.ok(!JSON.stringify(reply.requests[0].headers).includes(alice), "no claim is handed on in a header");
    attempts.held("no claim is handed on in a header");
  },
});

// ------------------------------------------------------------------------------------------------------- the keys

/** A modulus with the fingerprint of CVE-2017-15361: a power of 65537 modulo every small prime. It is nobody's key. */
function rocaModulus() {
  let product = 1n;
  for (let n = 2n; n < 168n; n++) {
    let prime = true;
    for (let d = 2n; d * d <= n; d++) prime &&= n % d !== 0n;
    if (prime) product *= n;
  }
  let power = 1n;
  for (let i = 0; i < 12345; i++) power = (power * 65537n) % product;
  const high = (1n << 2047n) + (BigInt(`0x${randomBytes(200).toString("hex")}`) << 300n);
  const modulus = high - (high % product) + power;
  return Buffer.from(modulus.toString(16).padStart(512, "0"), "hex");
}

/** RS256 under e = 1: the "signature" is the padded hash itself, which anybody can write. */
function paddedHash(input) {
  const digest = Buffer.concat([Buffer.from("3031300d060960864801650304020105000420", "hex"), createHash("sha256").update(input).digest()]);
  return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(256 - 3 - digest.length, 0xff), Buffer.from([0]), digest]);
}

const odd = (bytes) => {
  const number = randomBytes(bytes);
  number[0] |= 0x80;
  number[bytes - 1] |= 1;
  return encode(number);
};

/** @returns {[string, Record<string, unknown>, string | undefined][]} what, JWK, and a token it would verify */
function weakRsaKeys() {
  const { n } = rsa.jwk;
  const jwk = (kid, more) => ({ kty: "RSA", kid, alg: "RS256", use: "sig", n, e: "AQAB", ...more });
  const small = makeKey("RS256", { kid: "small", modulusLength: 1024 });
  const cubic = makeKey("RS256", { kid: "e3", publicExponent: 3 });
  const header = { alg: "RS256", kid: "e1", typ: "JWT" };
  const input = `${encode(header)}.${encode(claims({ sub: mallory }))}`;
  return [
    ["e = 1, forged", jwk("e1", { e: "AQ" }), `${input}.${encode(paddedHash(input))}`],
    ["e = 3", cubic.jwk, good(cubic)],
    ["e even", jwk("even", { e: "AQAA" }), undefined],
    ["e of 2,048 bits", jwk("long-e", { e: odd(256) }), undefined],
    ["1,024 bits", small.jwk, good(small)],
    ["n of 16,384 bits", jwk("huge", { n: odd(2048) }), undefined],
    ["n even", jwk("even-n", { n: encode(Buffer.concat([Buffer.from(n, "base64url").subarray(0, -1), Buffer.from([2])])) }), undefined],
    ["n with zeros in front", jwk("zeros", { n: encode(Buffer.concat([Buffer.alloc(1), Buffer.from(n, "base64url")])) }), undefined],
    ["ROCA", jwk("roca", { n: encode(rocaModulus()) }), undefined],
  ];
}

row({
  attack: "RSA with e = 1, even e, under 2048 bits, a huge n, or ROCA",
  stops: "CVE-2017-15361",
  config: () => configOf(fetched()),
  async play(attempts) {
    const weak = weakRsaKeys();
    for (const [what, jwk] of weak) await attempts.notConfigurable(what, configOf(fixed({ keys: { keys: [ec.jwk, jwk] } })), /keys: key 1/);
    // In a fetched set the weak keys are left out and the sound one stays.
    keyServer.fail({ body: JSON.stringify({ keys: [...weak.map(([, jwk]) => jwk), ec.jwk] }) });
    await attempts.accepted("the sound key beside them", good());
    for (const [what, , token] of weak) {
      if (token) await attempts.refused(what, token, "key_unknown", "keys_unavailable");
    }
    await attempts.accepted("the sound key still", good());
  },
});

row({
  attack: "EC point off the curve, wrong curve, small order",
  stops: "RFC 8725 3.4",
  async play(attempts) {
    const { x, y } = ec.jwk;
    const moved = Buffer.from(y, "base64url");
    moved[31] ^= 1;
    const jwk = (more) => ({ kty: "EC", crv: "P-256", kid: "bad", alg: "ES256", use: "sig", x, y, ...more });
    const zero = encode(Buffer.alloc(32));
    for (const [what, key] of [
      ["off the curve", jwk({ y: encode(moved) })],
      ["the point (0, 0)", jwk({ x: zero, y: zero })],
      ["a coordinate over the field", jwk({ x: encode(Buffer.alloc(32, 0xff)) })],
      ["P-384's point as P-256", jwk({ x: ec384.jwk.x, y: ec384.jwk.y })],
      ["P-256's point as P-384", jwk({ crv: "P-384", alg: "ES384" })],
      ["P-256's point as secp256k1", jwk({ crv: "secp256k1", alg: "ES256K" })],
      ["an alg of another curve", jwk({ alg: "ES384" })],
      ["a short coordinate", jwk({ x: encode(Buffer.from(x, "base64url").subarray(1)) })],
      ["a curve nobody checks", jwk({ crv: "P-192" })],
      ...[Buffer.alloc(32), Buffer.concat([Buffer.from([1]), Buffer.alloc(31)]), Buffer.concat([Buffer.from([0xec]), Buffer.alloc(30, 0xff), Buffer.from([0x7f])])].map((point) => [
        "an Ed25519 point of small order",
        { kty: "OKP", crv: "Ed25519", kid: "bad", use: "sig", x: encode(point) },
      ]),
    ]) {
      await attempts.notConfigurable(/** @type {string} */ (what), configOf(fixed({ keys: { keys: [key] } })), /keys: key 0/);
    }
  },
});

row({
  attack: "kid flooding",
  stops: "go-oidc 482, evoila/meho 3484",
  config: () => configOf(fetched()),
  async play(attempts) {
    await attempts.accepted("a good token", good());
    const before = keyServer.fetches();
    for (let i = 0; i < 50; i++) {
      await attempts.refused("an invented kid", withHeader({ kid: `invented-${i}` }, attackers.ec), "key_unknown", "keys_unavailable");
      if (i % 10 === 9) await attempts.accepted("a good token meanwhile", good());
    }
    const fetches = keyServer.fetches() - before;
    assert.ok(fetches <= 3, `${fetches} fetches`);
    attempts.held("at most 3 fetches for 50 invented kids");
  },
});

row({
  attack: "JWKS poisoning: secrets in the set, redirects, size, appended keys",
  stops: "GHSA-675f-rq2r-jw82",
  config: () => configOf(fetched()),
  async play(attempts) {
    const name = attempts.host.name;
    const leaked = { ...ec.jwk, d: ec.privateKey.export({ format: "jwk" }).d };
    const secret = { kty: "oct", kid: "oct", alg: "HS256", k: encode(randomBytes(32)) };
    const set = (...keys) => ({ body: JSON.stringify({ keys }) });
    const many = Array.from({ length: 65 }, (_, i) => ({ ...ec.jwk, kid: `k${i}` }));
    /** @type {[string, import("../support/flaky-issuer.mjs").Answer][]} */
    const poisons = [
      ["a private key", set(leaked)],
      ["a symmetric key beside a sound one", set(ec.jwk, secret)],
      ["two keys of one kid", set(ec.jwk, { ...ec2.jwk, kid: "ec" })],
      ["65 keys", set(ec.jwk, ...many)],
      ["over 256 KiB", { body: JSON.stringify({ keys: [ec.jwk], padding: "x".repeat(256 * 1024) }) }],
      ["a redirect", { status: 302, headers: { location: `${trap.url}/jwks` } }],
      ["no JSON", { body: "<html>" }],
      ["keys twice", { body: `{"keys":[],"keys":${JSON.stringify([ec.jwk])}}` }],
      ["no list", { body: JSON.stringify({ keys: ec.jwk }) }],
    ];
    for (const [what, answer] of poisons) {
      keyServer.fail(answer);
      const host = await startHost(name, configOf(fetched()));
      const cold = new Attempts(host);
      try {
        await cold.refused(what, good(), "keys_unavailable");
      } finally {
        await host.stop();
      }
      attempts.refusals += 1;
      for (const code of cold.codes) attempts.codes.add(code);
    }
    assert.deepEqual(trapped, [], "no redirect was followed");
    // A set replaces the last one: what an attacker got into it once is gone with the next.
    keyServer.fail(undefined);
    keyServer.publish(ec, ec2);
    await attempts.accepted("the first set's key", good(ec2));
    keyServer.publish(ec, ec384);
    await attempts.accepted("a key of the next set", good(ec384));
    await attempts.refused("a key that the next set has no more", good(ec2), "key_unknown");
    for (const jwks_uri of ["http://idp.example/jwks", "ftp://idp.example/jwks", "file:///etc/passwd", "https://user@idp.example/jwks"]) {
      await attempts.notConfigurable(`keys from ${jwks_uri.split(":")[0]}`, configOf(fetched({ jwks_uri })), /jwks_uri/);
    }
  },
});

row({
  attack: "JWKS failure falls back on something else",
  stops: "CVE-2026-31837",
  config: () => configOf(fetched()),
  async play(attempts) {
    for (const answer of [{ status: 500 }, { hangUp: true }, { status: 404 }, { body: '{"keys":[]}' }]) {
      keyServer.fail(answer);
      const host = await startHost(attempts.host.name, configOf(fetched()));
      const cold = new Attempts(host);
      try {
        // An empty set is an answer: then the key is unknown. A failure is not the token's fault: 503.
        const code = answer.body ? "key_unknown" : "keys_unavailable";
        await cold.refused("the issuer's own key", good(), code);
        await cold.refused("an attacker's key", good(attackers.rsa), code);
        await cold.refused("without kid", withHeader({ kid: undefined }), code);
        await cold.refused("HS256 with an empty secret", good({ ...shared, privateKey: "" }), "algorithm_not_allowed");
      } finally {
        await host.stop();
      }
      attempts.refusals += cold.refusals;
      for (const found of cold.codes) attempts.codes.add(found);
    }
  },
});

row({
  attack: "stale keys without a bound",
  stops: "node-jwks-rsa 385, mecatl 449",
  elsewhere: { native: "its clock cannot be moved; the same core is tried with the package's" },
  async play(attempts) {
    let clock = Date.now();
    const host = await startHost("wasm", configOf(fetched({ max_age_seconds: 60, stale_seconds_max: 120 })), { now: () => clock });
    const timed = new Attempts(host);
    const lasting = withClaims({ exp: now() + 86_400 });
    try {
      await timed.accepted("fresh keys", lasting);
      keyServer.fail({ status: 500 });
      clock += 61_000;
      await timed.accepted("stale keys while the issuer fails", lasting);
      clock += 120_000;
      await timed.refused("past the bound: 503, not 401", lasting, "keys_unavailable");
      keyServer.fail(undefined);
      clock += 61_000;
      await timed.accepted("the issuer is back", lasting);
    } finally {
      await host.stop();
    }
    attempts.acceptances += timed.acceptances;
    attempts.refusals += timed.refusals;
    for (const code of timed.codes) attempts.codes.add(code);
  },
});

// --------------------------------------------------------------------------------------------------- the request

row({
  attack: "identity header smuggling",
  stops: "CVE-2025-64484, CVE-2025-48865, CVE-2026-39858, GHSA-6384-m2mw-rf54",
  async play(attempts) {
    const smuggled = {
      "x-auth-scheme": "langsmith", X_Auth_Scheme: "langsmith", "x-api-key": "k", "X-API-KEY": "k", "x-user-id": mallory, X_User_Id: mallory, "x-tenant-id": "t",
      "x-organization-id": "o", "x-service-key": "s", "langgraph-auth-user": mallory, "x-forwarded-user": mallory, "x-forwarded-email": mallory, "x-remote-user": mallory,
      "x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1", forwarded: `for=127.0.0.1;by=${mallory}`, cookie: "session=1", baggage: "b=1", "langsmith-trace": "t", "proxy-authorization": "Basic eDp5",
    };
    const own = new Set(["host", "connection", "content-length", "content-type", "accept", "accept-encoding", "accept-language", "user-agent", "sec-fetch-mode", "transfer-encoding"]);
    const check = (requests) => {
      assert.equal(requests.length, 1);
      const names = requests[0].headers.map(([name]) => name.toLowerCase()).filter((name) => !own.has(name));
      assert.deepEqual(names, [], "header fields of the client's reached the upstream");
      assert.ok(!JSON.stringify(requests[0].headers).includes(mallory));
      assert.ok(requests[0].json.metadata.owner === alice);
    };
    const headers = { authorization: `Bearer ${good()}`, ...smuggled };
    check((await attempts.request("POST", "/threads/search", { headers, body: "{}" })).requests);
    attempts.held("20 spellings of an identity");
    if (attempts.host.port === undefined) return;
    // What Connection lists is dropped by a proxy: it must not be a way to drop what the gate sets.
    const lines = Object.entries(smuggled).map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const withConnection = (listed) =>
      `POST /threads/search HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer ${good()}\r\nconnection: close, ${listed}\r\n${lines}content-length: 2\r\n\r\n{}`;
    const reply = await attempts.raw(withConnection("host, content-length, content-type, x-user-id, x-auth-scheme"));
    assert.deepEqual(reply.statuses, [200]);
    check(reply.requests);
    const dropped = await attempts.raw(withConnection("authorization"));
    assert.deepEqual([dropped.statuses, dropped.requests.length], [[401], 0], "who drops the token has none");
    attempts.held("fields that Connection lists");
    const two = await attempts.raw(`POST /threads/search HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer ${good()}\r\nauthorization: Bearer ${withClaims({ sub: mallory })}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`);
    assert.deepEqual([two.statuses, two.requests.length], [[400], 0]);
    attempts.held("two Authorization fields");
  },
});

row({
  attack: "forwarded path spoof",
  stops: "CVE-2026-40575",
  async play(attempts) {
    const spoof = {
      "x-forwarded-uri": "/ok", "x-original-uri": "/ok", "x-original-url": "/ok", "x-rewrite-url": "/ok", "x-forwarded-method": "GET", "x-original-method": "GET",
      "x-http-method-override": "DELETE", "x-method-override": "DELETE", "x-http-method": "DELETE", "x-forwarded-host": "evil.example", "x-forwarded-proto": "http", "x-forwarded-prefix": "/ok",
    };
    const bare = await attempts.request("POST", "/threads/search", { headers: spoof, body: "{}" });
    assert.deepEqual([bare.status, bare.code, bare.requests.length], [401, "credential_missing", 0]);
    const open = await attempts.request("GET", "/ok", { headers: { ...spoof, "x-original-url": "/threads/search", "x-rewrite-url": "/threads/search" } });
    assert.deepEqual([open.status, open.requests.map((request) => `${request.method} ${request.target}`)], [200, ["GET /ok"]]);
    const passed = await attempts.request("POST", "/threads/search", { headers: { ...spoof, authorization: `Bearer ${good()}` }, body: "{}" });
    assert.deepEqual(passed.requests.map((request) => `${request.method} ${request.target}`), ["POST /threads/search"]);
    for (const requests of [open.requests, passed.requests]) {
      assert.deepEqual(requests[0].headers.filter(([name]) => name.toLowerCase() in spoof), []);
    }
    attempts.held("the request line alone is judged and sent on");
  },
});

row({
  attack: "path normalisation",
  stops: "CVE-2021-29492, GHSA-6jwx-7vp4-9847, CVE-2021-39156",
  async play(attempts) {
    const thread = randomUUID();
    const targets = [
      "//threads/search", "/threads//search", "/threads/search/", "/THREADS/search", "/threads/Search", "/threads%2fsearch", "/threads%2Fsearch", "/%74hreads/search",
      "/threads/search%00", "/threads/search%0a", "/threads/search;x=1", "/;/threads/search", "/threads;/search", "/threads/search%3b", "/threads\\search", "/threads/%5csearch",
      "/./threads/search", "/ok/../threads/search", "/ok/%2e%2e/threads/search", "/ok/..%2fthreads/search", "/threads/search%23", "/threads/search%3f", "/threads/search%20", "/threads/search.",
      `/threads/${thread}%2f..%2fsearch`, `/threads/${thread}/..;/search`, "/threads/se\u0061rch%252f", "/ok/threads/search", "/threads/search#/ok", "/ok#/threads/search", "http://evil.example/threads/search", "@evil.example/threads/search", "*",
    ];
    let normal = 0;
    for (const target of targets) {
      const headers = { authorization: `Bearer ${good()}` };
      if (attempts.host.name === "wasm") {
        // A URL has one form before the gate sees it; what is left to see is that this form is what is sent on.
        const url = new URL(`https://gate.example${target.startsWith("/") ? target : `/${target}`}`);
        const { requests } = await attempts.request("POST", target.startsWith("/") ? target : `/${target}`, { headers, body: "{}" });
        for (const request of requests) assert.equal(request.target, url.pathname + url.search, JSON.stringify(target));
        if (requests.length > 0) assert.equal(url.pathname, "/threads/search", JSON.stringify(target));
        if (requests.length > 0) normal += 1;
        else attempts.refusals += 1;
        continue;
      }
      const reply = await attempts.raw(`POST ${target} HTTP/1.1\r\nhost: gate\r\nauthorization: ${headers.authorization}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}`);
      assert.equal(reply.requests.length, 0, `${JSON.stringify(target)} reached the upstream`);
      assert.ok(reply.statuses.length === 1 && [400, 403, 404, 405].includes(reply.statuses[0]), `${JSON.stringify(target)}: ${reply.statuses}`);
      attempts.refusals += 1;
      attempts.codes.add(String(reply.statuses[0]));
    }
    if (normal > 0) attempts.held(`${normal} that URL itself makes into a plain path`);
    attempts.codes.add("nothing sent on");
  },
});

row({
  attack: "CL/TE, bare LF, obs-fold, two Content-Lengths",
  stops: "HTTP request smuggling",
  elsewhere: { wasm: "the runtime reads the bytes; the package gets a Request" },
  async play(attempts) {
    const head = (lines, line = "POST /threads/search HTTP/1.1") => `${line}\r\nhost: gate\r\nauthorization: Bearer ${good()}\r\n${lines}`;
    const inner = "POST /threads/search HTTP/1.1\r\nhost: gate\r\n\r\n";
    const messages = {
      "CL and TE": head(`content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${inner}`),
      "TE and CL": head(`transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n${inner}`),
      "two Content-Lengths": head("content-length: 2\r\ncontent-length: 40\r\n\r\n{}"),
      "two equal Content-Lengths": head("content-length: 2\r\ncontent-length: 2\r\n\r\n{}"),
      "a list of Content-Lengths": head("content-length: 2, 2\r\n\r\n{}"),
      "Content-Length with a sign": head("content-length: +2\r\n\r\n{}"),
      "Content-Length in hex": head("content-length: 0x2\r\n\r\n{}"),
      "a negative Content-Length": head("content-length: -1\r\n\r\n{}"),
      "a Content-Length past 64 bits": head("content-length: 18446744073709551618\r\n\r\n{}"),
      "chunked twice": head("transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n"),
      "chunked not last": head("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
      "a misspelt coding": head("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n"),
      "TE with a tab before its colon": head("transfer-encoding\t: chunked\r\n\r\n0\r\n\r\n"),
      "a space before the colon": head("content-length : 2\r\n\r\n{}"),
      "obs-fold": head("x-a: b\r\n c\r\ncontent-length: 2\r\n\r\n{}"),
      "obs-fold in the token": `POST /threads/search HTTP/1.1\r\nhost: gate\r\nauthorization: Bearer\r\n ${good()}\r\ncontent-length: 2\r\n\r\n{}`,
      "bare LF": head("content-length: 2\r\n\r\n{}").replaceAll("\r\n", "\n"),
      "bare LF after one field": head("x-a: b\ncontent-length: 2\r\n\r\n{}"),
      "bare CR": head("x-a: b\rcontent-length: 40\r\ncontent-length: 2\r\n\r\n{}"),
      "NUL in a field": head("x-a: b\u0000c\r\ncontent-length: 2\r\n\r\n{}"),
      "a chunk size over 64 bits": head("transfer-encoding: chunked\r\n\r\n10000000000000002\r\n{}\r\n0\r\n\r\n"),
      "a chunk size with a sign": head("transfer-encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n"),
      "a chunk without its CR LF": head("transfer-encoding: chunked\r\n\r\n2\r\n{}X\r\n0\r\n\r\n"),
      "two Hosts": head("host: other\r\ncontent-length: 2\r\n\r\n{}"),
      "no Host": `POST /threads/search HTTP/1.1\r\nauthorization: Bearer ${good()}\r\ncontent-length: 2\r\n\r\n{}`,
      "HTTP/0.9": "GET /ok\r\n\r\n",
      "HTTP/1.2": head("content-length: 2\r\n\r\n{}", "POST /threads/search HTTP/1.2"),
      "HTTP/2 without saying so": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    };
    for (const [what, bytes] of Object.entries(messages)) {
      const reply = await attempts.raw(bytes);
      assert.equal(reply.requests.length, 0, `${what}: reached the upstream`);
      assert.ok(reply.statuses.every((status) => [400, 431, 501, 505].includes(status)) && reply.statuses.length === 1, `${what}: ${reply.statuses}`);
      assert.ok(reply.closed, `${what}: the connection stays open`);
      assert.deepEqual(leaksIn(reply.text, [["a claim", alice]]), [], what);
      attempts.refusals += 1;
      attempts.codes.add(String(reply.statuses[0]));
    }
  },
});

row({
  attack: "WebSocket as a way around the checks",
  stops: "",
  async play(attempts) {
    const upgrade = { upgrade: "websocket", connection: "Upgrade", "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version": "13" };
    const target = `/threads/${randomUUID()}/runs/${randomUUID()}/stream`;
    if (attempts.host.port !== undefined) {
      for (const authorization of ["", `authorization: Bearer ${good()}\r\n`]) {
        const lines = Object.entries(upgrade).map(([name, value]) => `${name}: ${value}\r\n`).join("");
        const reply = await attempts.raw(`GET ${target} HTTP/1.1\r\nhost: gate\r\n${authorization}${lines}\r\n`);
        assert.deepEqual([reply.statuses, reply.requests.length], [[501], 0]);
        attempts.refusals += 1;
        attempts.codes.add("501");
      }
      return;
    }
    const bare = await attempts.request("GET", target, { headers: upgrade });
    assert.deepEqual([bare.status, bare.requests.length], [401, 0]);
    const { requests } = await attempts.request("GET", target, { headers: { ...upgrade, authorization: `Bearer ${good()}` } });
    assert.deepEqual(requests.flatMap((request) => request.headers).filter(([name]) => /upgrade|websocket/i.test(name)), []);
    attempts.held("no upgrade reaches the upstream");
  },
});

row({
  attack: "credentials that are not offered: API keys, opaque tokens, the query, the body, cookies",
  stops: "frankbria/codeframe 745",
  async play(attempts) {
    const token = good();
    const nowhere = async (what, target, options) => {
      const reply = await attempts.request("POST", target, options);
      assert.deepEqual([reply.status, reply.code, reply.requests.length], [401, "credential_missing", 0], what);
      attempts.refusals += 1;
      attempts.codes.add(reply.code);
    };
    for (const name of ["x-api-key", "apikey", "x-auth-token", "x-access-token", "x-forwarded-access-token", "x-forwarded-authorization", "proxy-authorization", "sec-websocket-protocol"]) {
      await nowhere(name, "/threads/search", { headers: { [name]: name.endsWith("authorization") ? `Bearer ${token}` : token }, body: "{}" });
    }
    for (const name of ["access_token", "token", "jwt", "api_key"]) await nowhere(`${name} in the query`, `/threads/search?${name}=${token}`, { body: "{}" });
    await nowhere("in a cookie", "/threads/search", { headers: { cookie: `token=${token}; access_token=${token}` }, body: "{}" });
    await nowhere("in the body", "/threads/search", { headers: { "content-type": "application/x-www-form-urlencoded" }, body: `access_token=${token}` });
    for (const authorization of [token, `Basic ${Buffer.from(`${alice}:${token}`).toString("base64")}`, `Token ${token}`, `JWT ${token}`, `Bearer:${token}`, `Bearer\u00a0${token}`]) {
      await nowhere("another scheme", "/threads/search", { headers: { authorization }, body: "{}" });
    }
    for (const opaque of ["2YotnFZFEjr1zCsicMWpAA", "lsv2_pt_0123456789abcdef", "sk-live-0123456789abcdef", "v4.public.eyJ9.x"]) await attempts.refused("an opaque token", opaque, "jws_malformed");
    for (const list of [`${token}, Bearer ${token}`, `${token} ${token}`, `${token},`, `"${token}"`]) await attempts.refused("more than one token", list, "credential_malformed");
    const capitals = await attempts.request("POST", "/threads/search", { headers: { authorization: `BEARER ${token}` }, body: "{}" });
    assert.equal(capitals.status, 200, "a scheme's case does not matter");
    attempts.acceptances += 1;
  },
});

row({
  attack: "HMAC timing",
  stops: "",
  config: () => configOf(fixed({ symmetric_keys: [{ alg: "HS256", kid: "shared", secret: shared.secret }] })),
  async play(attempts) {
    for (const at of [0, 15, 31]) {
      const flip = (signature) => Buffer.from(signature.map((byte, i) => (i === at ? byte ^ 1 : byte)));
      await attempts.refused(`byte ${at} wrong`, good(shared, { signature: flip }), "signature_invalid");
    }
    // Time cannot be measured on a shared machine; that the comparison cannot stop early can be read.
    const source = readFileSync(join(root, "core/src/crypto.cpp"), "utf8");
    const verify = /bool verify_hmac\([\s\S]*?\n}\n/.exec(source)?.[0] ?? "";
    const compare = /bool equal_constant_time\([\s\S]*?\n}\n/.exec(source)?.[0] ?? "";
    assert.match(verify, /return equal_constant_time\(/);
    assert.match(compare, /mbedtls_ct_memcmp\(/);
    attempts.held("the comparison is mbedTLS's constant-time one");
  },
});

row({
  attack: "errors that leak",
  stops: "",
  async play(attempts) {
    // Each refusal of every row was looked through for the token and the claims. Here: what is told besides.
    for (const [what, token, code] of [
      ["a bad signature", good(attackers.ec), "signature_invalid"],
      ["expired", withClaims({ exp: now() - 600 }), "token_expired"],
      ["another audience", withClaims({ aud: mallory }), "audience_mismatch"],
      ["another issuer", withClaims({ iss: `https://${mallory}.example` }), "issuer_unknown"],
      ["an unknown kid", withHeader({ kid: mallory }), "key_unknown"],
      ["an unknown alg", good(ec, { header: { alg: mallory } }), "algorithm_not_allowed"],
      ["broken JSON", makeToken(ec, {}, { payloadText: `{"sub":"${mallory}"` }), "payload_malformed"],
      ["a name twice", makeToken(ec, {}, { payloadText: `{"${mallory}":1,"${mallory}":2}` }), "payload_malformed"],
      ["no token at all", mallory, "jws_malformed"],
    ]) {
      await attempts.refused(/** @type {string} */ (what), /** @type {string} */ (token), /** @type {string} */ (code));
    }
    const reply = await attempts.request("POST", "/threads/search", { body: "{}" });
    const challenge = reply.headers.find(([name]) => name.toLowerCase() === "www-authenticate");
    assert.equal(challenge?.[1], "Bearer", "no error word without a token, RFC 6750 3.1");
    attempts.held("no error word without a token");
  },
});

// ------------------------------------------------------------------------------------------------------- running

/** Lines of the list that have nothing to try, and why. README.md has them too. */
const notApplicable = [
  ["a stream that goes on after exp or revocation", "streams are not cut at exp: a limit that README.md names; a revoked caller's are: scenarios/denylist.test.mjs"],
  ["API key timing", "not measured here: every row is compared in constant time, and by its SHA-256 (known_user.cpp)"],
  ["a DPoP proof used twice", "DPoP is not offered: the scheme is refused"],
];

/** @type {Map<string, Record<string, string>>} */
const outcomes = new Map();
const printed = [];

before(async () => {
  keyServer = await startFlakyIssuer({ keys: [ec, ec384, rsa, pss, bare, ed] });
  upstream = await startRecordingUpstream();
  const server = createServer((message, response) => {
    trapped.push(message.url);
    response.end(JSON.stringify(jwkSet(attackers.ec, attackers.rsa)));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  trap = { url: `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`, close: () => server.close() };
});
after(async () => {
  trap.close();
  await upstream.close();
  await keyServer.close();
  console.log("| attack | published as | npm package | native server |");
  console.log("|---|---|---|---|");
  for (const { attack, stops } of rows) {
    const { wasm = "FAILED", native = "FAILED" } = outcomes.get(attack) ?? {};
    console.log(`| ${attack} | ${stops || "-"} | ${wasm} | ${native === wasm ? "the same" : native} |`);
  }
  for (const [attack, why] of notApplicable) console.log(`| ${attack} | - | not applicable: ${why} | the same |`);
});

for (const name of hostNames) {
  describe(name, () => {
    /** @type {import("./hosts.mjs").Host} */
    let sharedHost;
    before(async () => {
      sharedHost = await startHost(name, configOf(fixed()));
    });
    after(async () => {
      printed.push(sharedHost.said());
      await sharedHost.stop();
    });

    for (const { attack, config, play, elsewhere } of rows) {
      if (elsewhere?.[name]) {
        outcomes.set(attack, { ...outcomes.get(attack), [name]: `not here: ${elsewhere[name]}` });
        continue;
      }
      it(attack, async () => {
        keyServer.fail(undefined);
        keyServer.publish(ec, ec384, rsa, pss, bare, ed);
        const host = config ? await startHost(name, config()) : sharedHost;
        try {
          const attempts = new Attempts(host);
          await play(attempts);
          outcomes.set(attack, { ...outcomes.get(attack), [name]: attempts.outcome });
        } finally {
          if (config) {
            printed.push(host.said());
            await host.stop();
          }
        }
      });
    }

    it("the logs hold no token, no key and no claim", () => {
      const secrets = /** @type {[string, string][]} */ ([["alice", alice], ["mallory", mallory], ["the shared secret", shared.secret], ...partsOf("a token", good(rsa)).slice(1, 2)]);
      assert.deepEqual(leaksIn(printed.join("\n"), secrets), []);
      assert.deepEqual(leaksInFolder(logFolder(), secrets), []);
      // The server of the tests is built with sanitizers; what they found stands in its log.
      for (const file of readdirSync(logFolder())) {
        assert.doesNotMatch(readFileSync(join(logFolder(), file), "utf8"), /ERROR: \w+Sanitizer|runtime error:/);
      }
    });
  });
}
after(removeLogs);
