// Plays tests/cases/*.json through the wasm; tests/unit/cases_test.cpp plays the same files through the native core.
//
// Below the Gate on purpose: fetch and Request would refuse or repair some of what the cases send.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import "../../js/dist/index.node.js"; // names the wasm file
import { currentCore } from "../../js/dist/core.js";
import { NumberToken, equal, parse, write } from "./exact-json.mjs";

const folder = new URL("../cases/", import.meta.url);
const read = (/** @type {string} */ name) => parse(readFileSync(new URL(name, folder), "utf8"));
const tokens = read("tokens.json");
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Replaces ${name} and "$jwks" wherever they stand. @param {any} value @returns {any} */
function filledIn(value) {
  if (value === "$jwks") return tokens.jwks;
  if (typeof value === "string") {
    return value.replace(/\$\{([^}]*)\}/g, (_, name) => {
      const text = tokens.tokens[name] ?? tokens[name];
      assert.equal(typeof text, "string", `no token named ${name}`);
      return text;
    });
  }
  if (Array.isArray(value)) return value.map(filledIn);
  if (value === null || typeof value !== "object" || value instanceof NumberToken) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, filledIn(member)]));
}

const bodyText = (/** @type {any} */ body) => (body === undefined ? "" : typeof body === "string" ? body : write(body));
const number = (/** @type {number} */ value) => new NumberToken(String(value));

/** A step as the case files spell it. @param {any} step @param {readonly { code: string }[]} errors */
function stepJson(step, errors) {
  const request = step.request && {
    method: step.request.method,
    url: step.request.url,
    headers: Object.fromEntries(step.request.headers),
    body: typeof step.request.body === "string" ? step.request.body : decoder.decode(step.request.body),
  };
  const limits = { bytes_max: number(step.bytesMax), time_limit_ms: number(step.timeLimitMs) };
  switch (step.kind) {
    case "readBody":
      return { kind: "read_body", bytes_max: number(step.bytesMax) };
    case "fetch":
      return { kind: "fetch", purpose: step.purpose === "upstreamObject" ? "upstream_object" : step.purpose, ...request, ...limits };
    case "wait":
      return { kind: "wait" };
    case "forward":
      return { kind: "forward", ...request, reply: step.reply, ...limits };
    case "respond":
      return {
        kind: "respond",
        status: number(step.status),
        headers: Object.fromEntries(step.headers),
        body: decoder.decode(step.body),
        error: step.error === undefined ? null : errors[step.error].code,
      };
    default:
      return { kind: "authenticated", identity: step.user.identity, display_name: step.user.displayName, permissions: step.user.permissions };
  }
}

/** "" when `actual` has everything `expected` names, else what differs. @param {any} expected @param {any} actual */
function difference(expected, actual) {
  for (const [name, value] of Object.entries(expected)) {
    if (!Object.hasOwn(actual, name)) return `no ${name}`;
    if (name === "headers") {
      for (const [header, wanted] of Object.entries(value)) {
        const sent = Object.hasOwn(actual.headers, header) ? actual.headers[header] : null;
        if (sent !== wanted) return `header ${header} is ${sent ?? "absent"}`;
      }
    } else if (name === "body" && typeof value !== "string") {
      let parsed;
      try {
        parsed = parse(actual.body);
      } catch {
        return `body is ${actual.body}`;
      }
      if (!equal(parsed, value)) return `body is ${actual.body}`;
    } else if (!equal(actual[name], value)) {
      return `${name} is ${write(actual[name])}`;
    }
  }
  return "";
}

for (const name of readdirSync(fileURLToPath(folder)).filter((file) => file.endsWith(".json") && file !== "tokens.json").sort()) {
  const file = read(name);
  for (const [index, testCase] of file.cases.entries()) {
    test(`${name} ${index}: ${testCase.name}`, async () => {
      const core = await currentCore();
      const environment = Object.entries(file.environment ?? {}).flatMap(([variable, value]) => [variable, bodyText(value)]);
      const made = core.createGate(write(filledIn(file.configs[testCase.config])), environment);
      assert.equal(made.error, undefined);
      const gate = /** @type {{ handle: number }} */ (made).handle;
      const now = Number((testCase.now ?? tokens.now).text) * 1000;
      const request = filledIn(testCase.request);
      /** @type {[string, string][]} */
      const headers = [...(request.headers ?? [])];
      if (request.token) headers.push(["authorization", `Bearer ${tokens.tokens[request.token]}`]);
      const purpose = testCase.purpose === "authenticate" ? "authenticate" : "handle";
      let { exchange, step } = core.open(gate, purpose, request.method, request.target, headers, now);
      try {
        for (const [at, { expect, give }] of testCase.steps.entries()) {
          if (at > 0) step = core.next(exchange, now);
          const actual = stepJson(step, core.errors);
          assert.equal(difference(filledIn(expect), actual), "", `step ${at}: ${write(actual)}`);
          if (step.kind === "readBody") core.giveBody(exchange, step.stepId, "whole", encoder.encode(bodyText(request.body)), now);
          if (give === undefined) continue;
          const reply = filledIn(give);
          const response = { status: Number(reply.status.text), headers: reply.headers ?? [], body: encoder.encode(bodyText(reply.body)) };
          if (step.kind === "fetch") core.giveFetch(gate, step.fetchId, response, now);
          else core.giveReply(exchange, step.stepId, response, now);
        }
      } finally {
        core.close(exchange);
        core.closeGate(gate);
      }
    });
  }
}
