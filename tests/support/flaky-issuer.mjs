// An issuer that publishes keys over real HTTP and fails by script: what it was asked is counted, and each answer can be
// late, wrong or missing.
import { createServer } from "node:http";
import { jwkSet } from "./tokens.mjs";

/**
 * @typedef {object} FlakyIssuer
 * @property {string} url also the `iss` of its tokens
 * @property {string} jwksUri
 * @property {string[]} asked the path of every request that came, in order
 * @property {() => number} fetches requests for the keys
 * @property {(...keys: import("./tokens.mjs").SigningKey[]) => void} publish replaces the set
 * @property {(answer: Answer | undefined) => void} fail what is answered instead of the keys; undefined: the keys again
 * @property {() => () => void} hold answers nothing until the function it gives is called
 * @property {(count: number, ms?: number) => Promise<void>} untilAsked
 * @property {() => Promise<void>} close
 *
 * @typedef {{ status?: number, body?: string, headers?: Record<string, string>, hangUp?: boolean }} Answer
 */

/**
 * @param {{ keys?: import("./tokens.mjs").SigningKey[], latencyMs?: number, port?: number, maxAgeSeconds?: number }} [options]
 *   `latencyMs`: before each answer, so that requests that come together meet a fetch under way
 * @returns {Promise<FlakyIssuer>}
 */
export async function startFlakyIssuer({ keys = [], latencyMs = 0, port = 0, maxAgeSeconds } = {}) {
  let published = keys;
  /** @type {Answer | undefined} */
  let instead;
  /** @type {Promise<void> | undefined} */
  let held;
  let letGo = () => {};
  /** @type {string[]} */
  const asked = [];
  const headers = {
    "content-type": "application/jwk-set+json",
    ...(maxAgeSeconds !== undefined && { "cache-control": `public, max-age=${maxAgeSeconds}` }),
  };

  const server = createServer(async (message, response) => {
    const path = message.url ?? "";
    asked.push(path);
    // What is answered is settled when the question comes, as for an issuer whose reply is slow on its way.
    const answer = answerTo(path);
    await held;
    if (latencyMs > 0) await new Promise((resolve) => setTimeout(resolve, latencyMs));
    if (answer.hangUp) return message.socket.destroy();
    response.writeHead(answer.status ?? 200, { ...headers, ...answer.headers }).end(answer.body ?? "");
  });

  /** @param {string} path @returns {Answer} */
  function answerTo(path) {
    if (path === "/.well-known/openid-configuration") {
      return { body: JSON.stringify({ issuer: url, jwks_uri: `${url}/jwks` }), headers: { "content-type": "application/json" } };
    }
    if (path !== "/jwks" && path !== "/.well-known/jwks.json") return { status: 404 };
    return instead ?? { body: JSON.stringify(jwkSet(...published)) };
  }

  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(undefined));
  });
  const url = `http://127.0.0.1:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`;
  const fetches = () => asked.filter((path) => path === "/jwks" || path === "/.well-known/jwks.json").length;
  return {
    url,
    jwksUri: `${url}/jwks`,
    asked,
    fetches,
    publish: (...list) => void (published = list),
    fail: (answer) => void (instead = answer),
    hold() {
      held = new Promise((resolve) => (letGo = () => resolve()));
      return () => {
        held = undefined;
        letGo();
      };
    },
    async untilAsked(count, ms = 5000) {
      const end = Date.now() + ms;
      while (fetches() < count) {
        if (Date.now() > end) throw new Error(`the issuer was asked ${fetches()} times, not ${count}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    close: () =>
      new Promise((resolve) => {
        letGo();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
