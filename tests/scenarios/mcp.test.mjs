// An MCP client logs in through the gate: the SDK's own client and server, a real OpenID provider, both hosts.
//
// The client knows the server's address and nothing else. Refused, it reads the challenge, the resource's metadata and the
// authorization server's, registers itself, sends its user there, and comes back with a token for this resource.
import assert from "node:assert/strict";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, describe, it } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { UnauthorizedError } from "@modelcontextprotocol/sdk/client/auth.js";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import Provider from "oidc-provider";
import { z } from "zod";
import { freePort, root, startGateFromEnvironment } from "../support/services.mjs";

const callback = "http://127.0.0.1:1/callback";  // nobody listens: the test is the browser

const listen = async (handler) => {
  const server = createServer(handler);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  return { server, url: `http://127.0.0.1:${server.address().port}` };
};
const close = (server) => new Promise((resolve) => {
  server?.closeAllConnections();
  server ? server.close(resolve) : resolve();
});

/** A real MCP server, which knows nothing of tokens; it keeps what it was sent. */
async function startMcpServer() {
  const seen = [];
  const sessions = new Map();
  const { server, url } = await listen(async (message, reply) => {
    seen.push({ method: message.method, target: message.url, headers: message.headers });
    let transport = sessions.get(message.headers["mcp-session-id"]);
    if (transport === undefined) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (id) => void sessions.set(id, transport),
        onsessionclosed: (id) => void sessions.delete(id),
      });
      const tools = new McpServer({ name: "tools", version: "1.0.0" });
      tools.registerTool("count", { description: "Counts aloud", inputSchema: { to: z.number() } }, async ({ to }, { sendNotification, _meta, requestInfo }) => {
        for (let n = 1; n <= to; n++) {
          await sendNotification({ method: "notifications/progress", params: { progressToken: _meta.progressToken, progress: n, total: to } });
          await new Promise((resolve) => setTimeout(resolve, 150));
        }
        return { content: [{ type: "text", text: `counted to ${to} for ${requestInfo.headers["x-user-id"]}` }] };
      });
      await tools.connect(transport);
    }
    await transport.handleRequest(message, reply);
  });
  return { url, seen, sessions, close: () => close(server) };
}

/** A real OpenID provider that makes tokens for the resources it is asked for, with a login page and dynamic registration. */
async function startProvider() {
  let answer;
  const { server, url } = await listen((message, reply) => answer(message, reply));
  const key = { ...generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }), kid: "k", alg: "ES256", use: "sig" };
  const { warn, info } = console;
  console.warn = console.info = () => {};  // advice for people who deploy it
  const provider = new Provider(url, {
    jwks: { keys: [key] },
    scopes: ["openid", "offline_access", "tools:use", "tools:admin"],
    clientDefaults: { id_token_signed_response_alg: "ES256" },
    pkce: { required: () => true },
    ttl: { AccessToken: 600, Grant: 600, Interaction: 600, Session: 600 },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    features: {
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true, useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({ scope: "tools:use tools:admin", audience: resource, accessTokenFormat: "jwt", jwt: { sign: { alg: "ES256" } } }),
      },
    },
  });
  answer = provider.callback();
  Object.assign(console, { warn, info });
  return { url, close: () => close(server) };
}

/** What a person does with the page they are sent to: logs in, agrees, and is sent back with a code. */
async function logInAt(url, account) {
  const cookies = new Map();
  let request = [url, {}];
  for (let hops = 0; hops < 15; hops++) {
    const [at, init] = request;
    const reply = await fetch(at, { ...init, redirect: "manual", headers: { ...init.headers, cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") } });
    for (const line of reply.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    const location = reply.headers.get("location");
    if (location?.startsWith(callback)) return new URL(location).searchParams;
    if (location !== null) {
      request = [new URL(location, at).href, {}];
      continue;
    }
    const page = await reply.text();
    const prompt = /name="prompt" value="(\w+)"/.exec(page)?.[1];
    assert.ok(prompt, `a page to log in or to agree, not ${reply.status}: ${page.slice(0, 300)}`);
    const body = new URLSearchParams({ prompt, ...(prompt === "login" && { login: account, password: "any" }) });
    request = [new URL(/action="([^"]+)"/.exec(page)[1], at).href, { method: "POST", body, headers: { "content-type": "application/x-www-form-urlencoded" } }];
  }
  throw new Error("too many redirects");
}

/** The SDK's provider interface, as an application implements it: what is saved is kept, and the browser is told where to go. */
function memoryOf() {
  const kept = {};
  return {
    kept,
    redirectUrl: callback,
    clientMetadata: { client_name: "a test", redirect_uris: [callback], grant_types: ["authorization_code"], response_types: ["code"], token_endpoint_auth_method: "none" },
    clientInformation: () => kept.client,
    saveClientInformation: (client) => void (kept.client = client),
    tokens: () => kept.tokens,
    saveTokens: (tokens) => void (kept.tokens = tokens),
    redirectToAuthorization: (url) => void (kept.sentTo = url),
    saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
    codeVerifier: () => kept.verifier,
  };
}

for (const host of ["native", "edge"]) {
  describe(`${host}: MCP through the gate`, { timeout: 240_000 }, () => {
    let provider, tools, gate, mcp;
    const asked = [];
    const seenByClient = async (url, init) => {
      const reply = await fetch(url, init);
      asked.push({ path: new URL(url).pathname, origin: new URL(url).origin, status: reply.status, challenge: reply.headers.get("www-authenticate"), type: reply.headers.get("content-type") });
      return reply;
    };
    const connect = async (authProvider, path = "") => {
      const client = new Client({ name: "test", version: "1.0.0" });
      const transport = new StreamableHTTPClientTransport(new URL(mcp + path), { authProvider, fetch: seenByClient });
      return { client, transport, connected: client.connect(transport) };
    };
    const logIn = async (account, path = "") => {
      const memory = memoryOf();
      const { transport, connected } = await connect(memory, path);
      await assert.rejects(connected, UnauthorizedError);
      await transport.finishAuth((await logInAt(memory.kept.sentTo, account)).get("code"));
      return memory;
    };

    before(async () => {
      provider = await startProvider();
      tools = await startMcpServer();
      const port = await freePort();
      mcp = `http://127.0.0.1:${port}/mcp`;
      // The configuration of docs/mcp.md, with the addresses of this run in it.
      let config = /```jsonc\n([^]*?)```/.exec(readFileSync(`${root}docs/mcp.md`, "utf8"))[1];
      for (const [from, to] of [["https://agents.example/mcp", mcp], ["https://login.example", provider.url], ["http://127.0.0.1:3000", tools.url]]) {
        assert.ok(config.includes(from), `docs/mcp.md names ${from}`);
        config = config.replaceAll(from, to);
      }
      gate = await startGateFromEnvironment(host, { POSTERN_CONFIG: config }, [], port);
    });
    after(async () => {
      await gate?.stop();
      await tools?.close();
      await provider?.close();
    });

    it("a client that knows nothing but the address logs in, lists tools and calls one whose answer streams", async () => {
      const memory = await logIn("alice");
      const well_known = `/.well-known/oauth-protected-resource/mcp`;
      assert.deepEqual(asked.slice(0, 2).map(({ path, status }) => [path, status]), [["/mcp", 401], [well_known, 200]]);
      assert.equal(asked[0].challenge, `Bearer resource_metadata="${gate.url}${well_known}"`);
      assert.ok(asked.some(({ origin, path }) => origin === provider.url && path.startsWith("/.well-known/")), "the authorization server's metadata is its own");
      assert.equal(memory.kept.sentTo.searchParams.get("resource"), mcp);
      assert.equal(memory.kept.sentTo.searchParams.get("scope"), "tools:use");
      assert.equal(tools.seen.length, 0, "nothing reached the server before");

      asked.length = 0;
      const { client, transport, connected } = await connect(memory);
      await connected;
      assert.deepEqual((await client.listTools()).tools.map(({ name }) => name), ["count"]);
      const heard = [];
      const startedAt = Date.now();
      const result = await client.callTool({ name: "count", arguments: { to: 4 } }, undefined, { onprogress: ({ progress }) => heard.push([progress, Date.now() - startedAt]) });
      assert.deepEqual(result.content, [{ type: "text", text: "counted to 4 for alice" }]);
      assert.deepEqual(heard.map(([progress]) => progress), [1, 2, 3, 4]);
      assert.ok(heard[3][1] - heard[0][1] > 200, `as they come, not all at the end: ${heard.map(([, at]) => at)}`);
      assert.ok(asked.some(({ path, type }) => path === "/mcp" && type?.startsWith("text/event-stream")));
      assert.equal(tools.sessions.size, 1);
      await transport.terminateSession();
      assert.equal(tools.sessions.size, 0, "DELETE goes through, with the session's id");
      await client.close();
      for (const { headers } of tools.seen) assert.equal(headers.authorization, undefined, "the client's token stays in the gate");
    });

    it("a token for another resource of the same provider is refused, and nothing of it reaches the server", async () => {
      const memory = memoryOf();
      memory.validateResourceURL = async () => new URL("http://127.0.0.1:3999/other");
      const { transport, connected } = await connect(memory);
      await assert.rejects(connected, UnauthorizedError);
      await transport.finishAuth((await logInAt(memory.kept.sentTo, "alice")).get("code"));
      const arrived = tools.seen.length;
      const reply = await fetch(mcp, { method: "POST", headers: { authorization: `Bearer ${memory.kept.tokens.access_token}` }, body: "{}" });
      assert.deepEqual([reply.status, (await reply.json()).code], [401, "audience_mismatch"]);
      assert.equal(
        reply.headers.get("www-authenticate"),
        `Bearer error="invalid_token", error_description="the token is for another audience", resource_metadata="${gate.url}/.well-known/oauth-protected-resource/mcp"`,
      );
      assert.equal(tools.seen.length, arrived);
    });

    it("a rule that requires a scope says which, and the client asks for it", async () => {
      const memory = await logIn("bob");
      const { token_type, access_token } = memory.kept.tokens;
      const reply = await fetch(`${mcp}/admin`, { method: "POST", headers: { authorization: `${token_type} ${access_token}` }, body: "{}" });
      assert.deepEqual([reply.status, (await reply.json()).code], [403, "scope_insufficient"]);
      assert.equal(
        reply.headers.get("www-authenticate"),
        `Bearer error="insufficient_scope", error_description="the token's scopes do not suffice for this", scope="tools:admin", resource_metadata="${gate.url}/.well-known/oauth-protected-resource/mcp"`,
      );
      const { connected } = await connect(memory, "/admin");
      await assert.rejects(connected, UnauthorizedError);
      assert.equal(memory.kept.sentTo.searchParams.get("scope"), "tools:admin");
    });

    it("the metadata is for pages of any origin, and nothing else is", async () => {
      const at = `${gate.url}/.well-known/oauth-protected-resource/mcp`;
      const origin = "https://a-page.example";
      const preflight = await fetch(at, { method: "OPTIONS", headers: { origin, "access-control-request-method": "GET", "access-control-request-headers": "mcp-protocol-version" } });
      assert.deepEqual([preflight.status, preflight.headers.get("access-control-allow-origin"), preflight.headers.get("access-control-allow-headers")], [204, "*", "*"]);
      for (const url of [at, `${gate.url}/.well-known/oauth-protected-resource`]) {
        const reply = await fetch(url, { headers: { origin } });
        assert.deepEqual([reply.status, reply.headers.get("content-type"), reply.headers.get("access-control-allow-origin")], [200, "application/json", "*"]);
        assert.deepEqual(await reply.json(), {
          resource: mcp, authorization_servers: [provider.url], bearer_methods_supported: ["header"], scopes_supported: ["tools:use"], resource_name: "Tools",
        });
      }
      const head = await fetch(at, { method: "HEAD" });
      assert.deepEqual([head.status, await head.text()], [200, ""]);
      const post = await fetch(at, { method: "POST", body: "{}" });
      assert.deepEqual([post.status, post.headers.get("allow")], [405, "GET, HEAD, OPTIONS"]);
      assert.equal((await fetch(mcp, { method: "POST", headers: { origin }, body: "{}" })).headers.get("access-control-allow-origin"), null);
      for (const path of ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]) {
        assert.equal((await fetch(gate.url + path)).status, 401, "the gate is no authorization server");
      }
    });
  });
}
