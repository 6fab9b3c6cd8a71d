// Who is measured in Node besides: fast-jwt, node:crypto by hand; for the filter casbin and Cedar.
import { constants, createHmac, createPublicKey, createSecretKey, timingSafeEqual, verify } from "node:crypto";
import { createVerifier } from "fast-jwt";
import { audience, issuer } from "../configuration.mjs";
import { Refused, split, userOf } from "./contestants.mjs";

const asIs = (text) => text;

// One verifier a key, and it is told which: no time goes into finding the key. That is in fast-jwt's favour.
function fastJwt(suite, options) {
  const verifiers = suite.pems.map((key) => createVerifier({ key, algorithms: [suite.alg], allowedIss: issuer, allowedAud: audience, ...options }));
  return {
    sync: true,
    input: asIs,
    work(text, key) {
      const claims = verifiers[key](text);
      return { identity: claims.sub, claims };
    },
  };
}

const ecdsa = (key) => ({ key, dsaEncoding: "ieee-p1363" });
const pss = (key) => ({ key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST });
const nodeAlgorithms = {
  ES256: ["sha256", ecdsa], ES384: ["sha384", ecdsa], EdDSA: [null, (key) => key],
  RS256: ["sha256", (key) => key], PS256: ["sha256", pss],
};

function nodeCrypto(suite) {
  const symmetric = suite.alg === "HS256";
  const [hash, dress] = symmetric ? [] : nodeAlgorithms[suite.alg];
  const keys = new Map(
    suite.jwks.map(({ kid }, i) => [kid, symmetric ? createSecretKey(Buffer.from(suite.pems[i])) : dress(createPublicKey(suite.pems[i]))]),
  );
  return {
    sync: true,
    input: asIs,
    work(text) {
      const { header, payload, input, signature } = split(text);
      if (header.alg !== suite.alg) throw new Refused();
      const key = keys.get(header.kid);
      if (symmetric) {
        const expected = createHmac("sha256", key).update(input).digest();
        if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) throw new Refused();
      } else if (!verify(hash, Buffer.from(input), key, signature)) throw new Refused();
      return userOf(payload());
    },
  };
}

// May this user see an object with this metadata? They get what Postern gets: the upstream's reply as bytes.
const replyOf = (owner) => Buffer.from(JSON.stringify([{ thread_id: crypto.randomUUID(), metadata: { owner, graph_id: "agent", assistant_id: "fe096781-5601-53d2-b2f6-0d3403f7e9ca" } }]));

async function casbin() {
  const { newEnforcer, newModelFromString } = await import("casbin");
  const model = newModelFromString(`
[request_definition]
r = sub, obj
[policy_definition]
p = act
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.obj.owner == r.sub.identity
`);
  const enforcer = await newEnforcer(model);
  await enforcer.addPolicy("read");
  return {
    sync: true,
    input: (_, { subject, owner }) => [{ identity: subject }, replyOf(owner)],
    work([user, reply]) {
      const [{ metadata }] = JSON.parse(reply);
      if (!enforcer.enforceSync(user, metadata)) throw new Refused();
      return true;
    },
    fits: () => true,
  };
}

async function cedar() {
  const { preparsePolicySet, statefulIsAuthorized } = await import("@cedar-policy/cedar-wasm/nodejs");
  const policy = 'permit(principal, action == Action::"threads:read", resource) when { resource.owner == principal };';
  if (preparsePolicySet("owner", { staticPolicies: policy }).type !== "success") throw new Error("Cedar does not take the policy");
  const action = { type: "Action", id: "threads:read" };
  return {
    sync: true,
    input: (_, { subject, owner }) => [{ type: "User", id: subject }, replyOf(owner)],
    work([principal, reply]) {
      const [{ thread_id, metadata }] = JSON.parse(reply);
      const resource = { type: "Thread", id: thread_id };
      const attrs = { ...metadata, owner: { __entity: { type: "User", id: metadata.owner } } };
      const call = { principal, resource, action, context: {}, preparsedPolicySetId: "owner", entities: [{ uid: resource, attrs, parents: [] }] };
      if (statefulIsAuthorized(call).response?.decision !== "allow") throw new Refused();
      return true;
    },
    fits: () => true,
  };
}

/** @returns {Promise<Record<string, import("./contestants.mjs").Contestant>>} */
export async function nodeContestants(kind, suite) {
  switch (kind) {
    case "verify":
      return { "fast-jwt": fastJwt(suite, { cache: false }), "node-crypto": nodeCrypto(suite) };
    case "verify-cached":
    case "gate.thread-get":
      // Room for all of them in each: its cache holds tokens, not bytes.
      return { "fast-jwt": fastJwt(suite, { cache: suite.tokens.length }) };
    case "filter.owner":
      return { "casbin": await casbin(), "cedar-wasm": await cedar() };
  }
  return {};
}
