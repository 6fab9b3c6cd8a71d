#!/usr/bin/env node
// The issuer from the command line. One line of JSON on stdout says that it is ready; nothing secret is ever printed.

import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { algorithms } from "./keys.mjs";
import { startIssuer } from "./issuer.mjs";

const usage = `usage: main.mjs [--port N] [--host 127.0.0.1] [--alg ${algorithms.join("|")}] [--anon-key KEY]
                [--lifetime SECONDS] [--secret-file FILE] [--dev]

  --port         0 (the default) takes any free port
  --alg          ES256 (default) or RS256: keys in the JWK Set. HS256: the legacy shared secret, empty JWK Set
  --secret-file  HS256: write the secret there (mode 600). It comes from ISSUER_JWT_SECRET, or is made at random
  --dev          POST /dev/rotate, POST /dev/revoke {"kid":...}, GET /dev/stats (each with the apikey header)
`;

/** @param {string} message @returns {never} */
function fail(message) {
  process.stderr.write(`issuer: ${message}\n${usage}`);
  process.exit(2);
}

/** @param {string} name @param {string} text @param {number} max */
function wholeNumber(name, text, max) {
  if (!/^\d{1,9}$/.test(text) || Number(text) > max) fail(`--${name} must be a whole number up to ${max}`);
  return Number(text);
}

const options = parsedOptions();
if (options.help) {
  process.stdout.write(usage);
  process.exit(0);
}
const secretFile = options["secret-file"];
if (secretFile !== undefined && options.alg !== "HS256") fail("--secret-file needs --alg HS256");

try {
  const issuer = await startIssuer({
    port: wholeNumber("port", options.port, 65535),
    host: options.host,
    alg: /** @type {import("./keys.mjs").Alg} */ (options.alg),
    jwtSecret: options.alg === "HS256" ? process.env.ISSUER_JWT_SECRET || undefined : undefined,
    anonKey: options["anon-key"],
    lifetimeSeconds: wholeNumber("lifetime", options.lifetime, 10 * 365 * 86_400),
    dev: options.dev,
  });
  if (secretFile !== undefined) await writeFile(secretFile, issuer.secretText() ?? "", { mode: 0o600, flag: "wx" });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
    process.once(signal, () => issuer.close().then(() => process.exit(0)));
  }
  process.stdout.write(`${JSON.stringify({ ready: true, url: issuer.url, issuer: issuer.issuer, jwks_uri: issuer.jwksUri, alg: issuer.alg })}\n`);
} catch (error) {
  fail(/** @type {Error} */ (error).message);
}

function parsedOptions() {
  try {
    return parseArgs({
      options: {
        port: { type: "string", default: "0" },
        host: { type: "string", default: "127.0.0.1" },
        alg: { type: "string", default: "ES256" },
        "anon-key": { type: "string", default: "anon" },
        lifetime: { type: "string", default: "3600" },
        "secret-file": { type: "string" },
        dev: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    return fail(/** @type {Error} */ (error).message);
  }
}
