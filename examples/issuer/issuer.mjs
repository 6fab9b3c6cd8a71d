// A small auth server in the shape of Supabase Auth: sign up, log in, ask who a token is, publish the keys.
//
// For development and tests. Accounts live in memory, every address counts as confirmed, and there is no TLS: it binds to
// loopback unless told otherwise. The claims are the ones the real service puts into an access token.

import { createServer } from "node:http";
import { randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import { Accounts, Refusal, isPlainObject } from "./accounts.mjs";
import { KeyError, KeyRing } from "./keys.mjs";

/** An e-mail, a password and a little metadata; more is a mistake. */
const bodyBytesMax = 16 * 1024;
const lifetimeSecondsDefault = 3600;
/** Refresh tokens are single use; the bound keeps a login loop from filling the memory. */
const refreshTokensMax = 10_000;
const audience = "authenticated";

/**
 * @typedef {object} IssuerOptions
 * @property {number} [port] 0 takes any free one
 * @property {string} [host]
 * @property {import("./keys.mjs").Alg} [alg]
 * @property {string} [jwtSecret] HS256 only; made at random when absent
 * @property {string} [anonKey] what the `apikey` header must hold
 * @property {boolean} [dev] opens /dev/rotate, /dev/revoke and /dev/stats
 * @property {number} [lifetimeSeconds] of an access token
 *
 * @typedef {object} Issuer
 * @property {string} url
 * @property {string} issuer the `iss` of its tokens
 * @property {string} jwksUri
 * @property {import("./keys.mjs").Alg} alg
 * @property {() => Promise<void>} close
 * @property {(claims?: Record<string, unknown>, headerOverrides?: Record<string, unknown>) => Promise<string>} signToken
 *           default claims with these on top; a claim given as `undefined` is left out
 * @property {() => Promise<string>} rotate gives the kid of the new signing key
 * @property {(kid: string) => void} revoke
 * @property {() => string | undefined} currentKid
 * @property {() => Record<string, number>} stats hits per known path
 * @property {() => string | undefined} secretText the HS256 secret, for a verifier's configuration
 *
 * @typedef {{ headers: import("node:http").IncomingHttpHeaders, query: URLSearchParams, body: Record<string, any> }} Call
 * @typedef {{ status?: number, headers?: Record<string, string>, body: unknown }} Reply
 */

/** @param {IssuerOptions} [options] @returns {Promise<Issuer>} */
export async function startIssuer(options = {}) {
  const host = options.host ?? "127.0.0.1";
  const anonKey = options.anonKey ?? "anon";
  const lifetimeSeconds = options.lifetimeSeconds ?? lifetimeSecondsDefault;
  const keys = await KeyRing.create(options.alg ?? "ES256", options.jwtSecret);
  const accounts = new Accounts();
  /** @type {Map<string, { userId: string, sessionId: string }>} */
  const refreshTokens = new Map();
  /** @type {Map<string, number>} */
  const hits = new Map();
  let url = "";
  let issuer = "";

  /** @param {Record<string, unknown>} [claims] */
  const accessClaims = (claims = {}) => {
    const now = Math.floor(Date.now() / 1000);
    return {
      iss: issuer,
      sub: randomUUID(),
      aud: audience,
      exp: now + lifetimeSeconds,
      iat: now,
      email: "",
      phone: "",
      app_metadata: { provider: "email", providers: ["email"] },
      user_metadata: {},
      role: "authenticated",
      aal: "aal1",
      amr: [{ method: "password", timestamp: now }],
      session_id: randomUUID(),
      is_anonymous: false,
      ...claims,
    };
  };

  /** @param {import("./accounts.mjs").User} user @param {string} [sessionId] */
  const openSession = async (user, sessionId = randomUUID()) => {
    user.lastSignInAt = new Date().toISOString();
    const claims = accessClaims({ sub: user.id, email: user.email, user_metadata: user.userMetadata, session_id: sessionId });
    const refreshToken = randomBytes(24).toString("base64url");
    if (refreshTokens.size >= refreshTokensMax) refreshTokens.delete(/** @type {string} */ (refreshTokens.keys().next().value));
    refreshTokens.set(refreshToken, { userId: user.id, sessionId });
    return {
      access_token: await keys.sign(claims),
      token_type: "bearer",
      expires_in: lifetimeSeconds,
      expires_at: claims.exp,
      refresh_token: refreshToken,
      user: userView(user),
    };
  };

  /** @param {Call} request */
  const requireApiKey = ({ headers }) => {
    const given = headers.apikey;
    if (typeof given !== "string" || given === "") throw new Refusal(401, "no_api_key", "No API key found in request");
    if (!sameText(given, anonKey)) throw new Refusal(401, "invalid_api_key", "Invalid API key");
  };

  /** @type {Record<string, (request: Call) => Promise<Reply> | Reply>} */
  const routes = {
    "GET /auth/v1/.well-known/jwks.json": () => ({ headers: { "cache-control": "public, max-age=600" }, body: keys.jwkSet() }),

    "GET /auth/v1/.well-known/openid-configuration": () => ({
      headers: { "cache-control": "public, max-age=600" },
      body: {
        issuer,
        jwks_uri: `${issuer}/.well-known/jwks.json`,
        response_types_supported: ["token"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: [keys.alg],
      },
    }),

    "GET /auth/v1/health": () => ({ body: { name: "postern-example-issuer", description: "Supabase-shaped auth for development" } }),

    "POST /auth/v1/signup": async (request) => {
      requireApiKey(request);
      const { email, password, data } = request.body;
      if (email === undefined && password === undefined) {
        throw new Refusal(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled");
      }
      return { body: await openSession(await accounts.signUp(email, password, data)) };
    },

    "POST /auth/v1/token": async (request) => {
      requireApiKey(request);
      const grant = request.query.get("grant_type");
      if (grant === "password") return { body: await openSession(await accounts.logIn(request.body.email, request.body.password)) };
      if (grant === "refresh_token") {
        const session = refreshTokens.get(request.body.refresh_token);
        const user = session && accounts.find(session.userId);
        if (!session || !user) throw new Refusal(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found");
        refreshTokens.delete(request.body.refresh_token);
        return { body: await openSession(user, session.sessionId) };
      }
      throw new Refusal(400, "validation_failed", "grant_type must be password or refresh_token");
    },

    "GET /auth/v1/user": async (request) => {
      requireApiKey(request);
      const [scheme, token, ...rest] = (request.headers.authorization ?? "").split(" ");
      if (scheme.toLowerCase() !== "bearer" || !token || rest.length > 0) {
        throw new Refusal(401, "no_authorization", "This endpoint requires a valid Bearer token");
      }
      const claims = await keys.verify(token, { issuer, audience }).catch(() => {
        throw new Refusal(403, "bad_jwt", "invalid JWT: unable to parse or verify signature");
      });
      const user = accounts.find(claims.sub ?? "");
      if (!user) throw new Refusal(403, "user_not_found", "User from sub claim in JWT does not exist");
      return { body: userView(user) };
    },
  };

  if (options.dev) {
    // The apikey header is asked for here too: a web page cannot send it across origins, so no page the developer happens to
    // have open can rotate the keys.
    routes["POST /dev/rotate"] = async (request) => {
      requireApiKey(request);
      return { body: { kid: await keys.rotate(), published: keys.jwkSet().keys.map((key) => key.kid) } };
    };
    routes["POST /dev/revoke"] = (request) => {
      requireApiKey(request);
      if (typeof request.body.kid !== "string") throw new Refusal(400, "validation_failed", "kid must be a string");
      keys.revoke(request.body.kid);
      return { body: { revoked: request.body.kid, published: keys.jwkSet().keys.map((key) => key.kid) } };
    };
    routes["GET /dev/stats"] = (request) => {
      requireApiKey(request);
      return { body: { hits: Object.fromEntries(hits) } };
    };
  }

  /** @param {import("node:http").IncomingMessage} message @returns {Promise<Reply>} */
  const answer = async (message) => {
    const [path, search = ""] = (message.url ?? "").split("?", 2);
    const name = `${message.method} ${path}`;
    const route = Object.hasOwn(routes, name) ? routes[name] : undefined;
    const counted = route ? path : "other"; // only known paths, so that the table stays small
    hits.set(counted, (hits.get(counted) ?? 0) + 1);
    try {
      if (!route) throw new Refusal(404, "not_found", "no Route matched with those values");
      const body = message.method === "POST" ? await readJson(message) : {};
      return await route({ headers: message.headers, query: new URLSearchParams(search), body });
    } catch (error) {
      if (error instanceof Refusal) return refusal(error.status, error.code, error.message);
      if (error instanceof KeyError) return refusal(409, "conflict", error.message);
      return refusal(500, "unexpected_failure", "Unexpected failure, please check server logs for more information");
    }
  };

  const server = createServer((message, response) => {
    answer(message).then(({ status = 200, headers = {}, body }) => {
      const text = JSON.stringify(body);
      response.writeHead(status, {
        "content-type": "application/json",
        "cache-control": "no-store",
        "content-length": String(Buffer.byteLength(text)),
        ...headers,
      });
      response.end(text);
    });
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, host, () => resolve(undefined));
  });
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  url = `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  issuer = `${url}/auth/v1`;

  return {
    url,
    issuer,
    jwksUri: `${issuer}/.well-known/jwks.json`,
    alg: keys.alg,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
    signToken: (claims, headerOverrides) => keys.sign(accessClaims(claims), headerOverrides),
    rotate: () => keys.rotate(),
    revoke: (kid) => keys.revoke(kid),
    currentKid: () => keys.currentKid,
    stats: () => Object.fromEntries(hits),
    secretText: () => keys.secretText(),
  };
}

/** @param {number} status @param {string} code @param {string} message @returns {Reply} */
function refusal(status, code, message) {
  return { status, body: { code: status, error_code: code, msg: message } };
}

/** @param {import("./accounts.mjs").User} user */
function userView(user) {
  return {
    id: user.id,
    aud: audience,
    role: "authenticated",
    email: user.email,
    email_confirmed_at: user.createdAt,
    phone: "",
    confirmed_at: user.createdAt,
    last_sign_in_at: user.lastSignInAt,
    app_metadata: { provider: "email", providers: ["email"] },
    user_metadata: user.userMetadata,
    identities: [],
    created_at: user.createdAt,
    updated_at: user.createdAt,
    is_anonymous: false,
  };
}

/** @param {import("node:http").IncomingMessage} message */
async function readJson(message) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of message) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new Refusal(413, "request_too_large", "Request body too large");
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  let value;
  try {
    value = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Refusal(400, "bad_json", "Could not parse request body as JSON");
  }
  if (!isPlainObject(value)) throw new Refusal(400, "bad_json", "The request body must be a JSON object");
  return value;
}

/** @param {string} a @param {string} b */
function sameText(a, b) {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
