// The page: inputs to a configuration and a request, through the gate, to what a person can read.
//
// The gate runs whole, with a stand-in for the agent server as its `fetch`: the answer shown is the one a client would get.
import { ConfigError, Gate } from "./postern/index.browser.js";
import { diffLines } from "./diff.mjs";
import { makeIssuer, partsOf } from "./keys.mjs";
import { makePresets } from "./presets.mjs";
import { makeUpstream } from "./upstream.mjs";

const upstreamUrl = "https://agents.example";
const stages = ["Credential", "Token", "Request", "Policy", "Owner", "Upstream"];
// Where each refusal stops. What is not listed stops at the token.
const stageOf = {
  credential_missing: 0, credential_malformed: 0, credential_duplicated: 0,
  method_not_allowed: 2, target_malformed: 2, route_unknown: 2, route_denied: 2, query_not_accepted: 2, body_malformed: 2,
  body_too_large: 2, body_encoding_unsupported: 2, field_not_accepted: 2, field_malformed: 2,
  policy_denied: 3, filter_not_enforceable: 3,
  object_unknown: 4, object_exists: 4, assistant_not_allowed: 4,
  upstream_failed: 5, upstream_timeout: 5, reply_too_large: 5,
};
const fields = ["method", "target", "token", "body", "issuer", "audience", "keys", "policy", "stored", "clock"];

const byId = (/** @type {string} */ id) => /** @type {any} */ (document.getElementById(id));
const input = Object.fromEntries(fields.map((name) => [name, byId(name)]));

/** @param {string} tag @param {Record<string, string>} attributes @param {...(Node | string)} children */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
const code = (/** @type {string} */ text) => make("code", {}, text);

/** Inputs -> the configuration's text. Pasted JSON goes in as it is, so that the core's own checks speak. */
function configuration() {
  return `{
  "issuers": [{ "issuer": ${JSON.stringify(input.issuer.value)}, "audience": ${JSON.stringify(input.audience.value)}, "keys": ${input.keys.value} }],
  "upstream": { "url": "${upstreamUrl}" },
  "policy": ${input.policy.value}
}`;
}

let turn = 0;
async function judge() {
  const mine = ++turn;
  showToken();
  const minutes = Number(input.clock.value);
  byId("clock-text").textContent = minutes === 0 ? "now" : `${minutes > 0 ? "+" : "−"}${Math.abs(minutes)} minutes`;
  input.clock.setAttribute("aria-valuetext", byId("clock-text").textContent);
  for (const name of ["keys", "policy", "issuer", "audience", "stored"]) input[name].removeAttribute("aria-invalid");

  /** @type {unknown} */
  let stored;
  try {
    stored = JSON.parse(input.stored.value || "{}");
  } catch {
    input.stored.setAttribute("aria-invalid", "true");
    return showFault("The stored metadata is not JSON", "");
  }
  const upstream = makeUpstream(stored);
  let decision;
  let gate;
  try {
    gate = await Gate.create(configuration(), {
      fetch: upstream.send,
      now: () => Date.now() + minutes * 60_000,
      onDecision: (told) => (decision = told),
      onWarning() {},
    });
  } catch (error) {
    if (mine !== turn) return;
    if (!(error instanceof ConfigError)) throw error;
    const where = ["keys", "policy", "audience", "issuer"].find((name) => error.path.includes(name)) ?? (error.line >= 4 ? "policy" : "keys");
    input[where].setAttribute("aria-invalid", "true");
    return showFault("The configuration cannot be used", [error.path, error.detail].filter(Boolean).join(": "));
  }
  try {
    const authorization = input.token.value.trim();
    const headers = authorization === "" ? {} : { authorization: `Bearer ${authorization}` };
    const asked = { method: input.method.value, target: input.target.value, headers, body: input.body.value };
    const explanation = await gate.explain(asked);
    const hasBody = asked.body !== "" && !["GET", "HEAD"].includes(asked.method);
    let response;
    try {
      const request = new Request(`https://gate.example${asked.target}`, { method: asked.method, headers, ...(hasBody && { body: asked.body }) });
      response = await gate.handle(request);
    } catch {
      return showFault("The browser does not make such a request", "Look at the method, the path and the token.");
    }
    const text = await response.text();
    const microseconds = await measure(gate, asked);
    if (mine !== turn) return;
    showResult({ explanation, decision, response, text, asked: upstream.asked, microseconds });
  } finally {
    gate.close();
  }
}

/** The median time of one whole judgement, signature included. @param {Gate} gate @param {any} asked */
async function measure(gate, asked) {
  const times = [];
  for (let i = 0; i < 15; i++) {
    const from = performance.now();
    await gate.explain(asked);
    times.push(performance.now() - from);
  }
  return times.sort((a, b) => a - b)[7] * 1000;
}

function showToken() {
  const box = byId("token-parts");
  box.replaceChildren();
  const token = input.token.value.trim();
  if (token === "") return;
  const { header, payload, signatureBytes } = partsOf(token);
  const line = (/** @type {string} */ part, /** @type {string} */ name, /** @type {string} */ text) =>
    box.append(make("p", {}, make("span", { class: part }, name), make("code", { class: part }, text)));
  line("part-1", "header", header === undefined ? "cannot be read" : JSON.stringify(header));
  line("part-2", "claims", payload === undefined ? "cannot be read" : JSON.stringify(payload));
  line("part-3", "signature", signatureBytes === 0 ? "none" : `${signatureBytes} bytes`);
  if (typeof payload?.exp === "number") {
    const minutes = Math.round((payload.exp * 1000 - Date.now()) / 60_000 - Number(input.clock.value));
    const unit = new Intl.RelativeTimeFormat("en", { numeric: "auto" }).format(minutes, "minute");
    box.append(make("p", {}, make("span", {}, "expires"), make("span", {}, unit)));
  }
}

/** @param {string} title @param {string} detail */
function showFault(title, detail) {
  byId("outcome").className = "outcome wait";
  byId("outcome").replaceChildren(make("p", { class: "verdict" }, title), make("p", {}, detail));
  for (const id of ["figures", "trail", "details"]) byId(id).replaceChildren();
}

/** @param {any} result */
function showResult({ explanation, decision, response, text, asked, microseconds }) {
  const refused = decision.code !== undefined;
  const outcome = byId("outcome");
  outcome.className = `outcome ${refused ? "bad" : "good"}`;
  const detail = refused ? parsed(text)?.detail ?? "" : forwardText(explanation);
  outcome.replaceChildren(
    make("p", { class: "verdict" }, refused ? `Refused: ${response.status}` : `Passed: ${response.status}`, ...(refused ? [code(decision.code)] : [])),
    make("p", {}, detail),
  );

  const stop = refused ? stageOf[/** @type {keyof typeof stageOf} */ (decision.code)] ?? 1 : stages.length;
  byId("trail").replaceChildren(
    ...stages.map((name, at) => {
      const state = at < stop ? "passed" : at === stop ? "stopped" : "";
      const spoken = { passed: "passed", stopped: "refused here", "": "not reached" }[state];
      return make("li", { class: state }, name, make("span", { class: "hidden" }, `: ${spoken}`));
    }),
  );

  const details = [];
  const facts = make("dl", { class: "facts" });
  const fact = (/** @type {string} */ name, /** @type {...(Node | string)} */ ...value) => facts.append(make("dt", {}, name), make("dd", {}, ...value));
  if (explanation.user) {
    const { identity, display_name: displayName, permissions } = explanation.user;
    fact("User", code(identity), ...(displayName === identity ? [] : [` (${displayName})`]));
    if (permissions.length > 0) fact("Permissions", code(permissions.join(" ")));
  }
  if (explanation.route) fact("Route", code(`${explanation.route.method} ${explanation.route.path}`));
  if (explanation.route) fact("Means", code(`${explanation.route.resource}:${explanation.route.action}`));
  if (explanation.rule !== undefined) {
    fact("Rule", code(`"${explanation.rule}"`));
    fact("Filter", explanation.filter ? code(JSON.stringify(explanation.filter)) : "none: open");
    if (Object.keys(explanation.stamp ?? {}).length > 0) fact("Stamp", code(JSON.stringify(explanation.stamp)));
  }
  if (facts.childElementCount > 0) details.push(card("Decision", facts));

  if (explanation.outcome.kind === "forward") {
    const before = explanation.body_received === undefined ? "" : JSON.stringify(explanation.body_received, null, 2);
    const after = explanation.outcome.body === "" ? "" : JSON.stringify(parsed(explanation.outcome.body), null, 2);
    if (after !== "" || before !== "") details.push(card("Edits to the body", before === after ? note("none") : diffView(before, after)));
  }
  if (asked.length > 0) {
    const list = make("ol", { class: "asked" });
    for (const call of asked) {
      const item = make("li", {}, make("p", {}, code(`${call.method} ${call.path}`)));
      if (call.body !== "") item.append(make("pre", {}, call.body));
      item.append(note(`headers: ${call.headers.map((/** @type {[string, string]} */ [name]) => name).join(", ")}`));
      list.append(item);
    }
    details.push(card("What the agent server was sent", list));
  } else {
    details.push(card("What the agent server was sent", note("Nothing.")));
  }
  const answer = make("pre", {}, parsed(text) === undefined ? text : JSON.stringify(parsed(text), null, 2));
  const challenge = response.headers.get("www-authenticate");
  details.push(card("What the client gets", note([`status ${response.status}`, ...(challenge ? [`www-authenticate: ${challenge}`] : [])].join(" · ")), ...(text === "" ? [] : [answer])));
  byId("details").replaceChildren(...details);
  const time = microseconds < 1000 ? `${Math.round(microseconds)} µs` : `${(microseconds / 1000).toFixed(1)} ms`;
  byId("figures").textContent = `judged in ${time}, the signature included (median of 15)`;
}

/** @param {any} explanation */
function forwardText(explanation) {
  const who = explanation.user ? `${explanation.user.display_name} may do this` : "This route is open";
  return explanation.filter ? `${who}, on what fulfils the filter.` : `${who}.`;
}

/** @param {string} title @param {...Node} children */
function card(title, ...children) {
  const section = make("section", { class: "card" }, make("h2", {}, title));
  section.append(...children);
  return section;
}
const note = (/** @type {string} */ text) => make("p", { class: "note" }, text);

/** @param {string} before @param {string} after */
function diffView(before, after) {
  const view = make("pre", { class: "diff" });
  for (const { kind, line } of diffLines(before, after)) {
    if (kind === "same") view.append(`  ${line}\n`);
    else view.append(make(kind === "gone" ? "del" : "ins", {}, make("span", { class: "hidden" }, kind === "gone" ? "removed: " : "added: "), `${kind === "gone" ? "−" : "+"} ${line}`));
  }
  return view;
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const presets = await makePresets(await makeIssuer());
const chips = byId("presets");
/** @param {Record<string, any>} preset */
function choose(preset) {
  for (const name of fields) input[name].value = preset[name];
  for (const chip of chips.children) chip.setAttribute("aria-pressed", String(chip.textContent === preset.name));
  return judge();
}
for (const preset of presets) {
  const chip = make("button", { type: "button", "aria-pressed": "false" }, preset.name);
  chip.addEventListener("click", () => choose(preset));
  chips.append(chip);
}
let pending = 0;
byId("inputs").addEventListener("input", () => {
  for (const chip of chips.children) chip.setAttribute("aria-pressed", "false");
  clearTimeout(pending);
  pending = setTimeout(judge, 150);
});
byId("inputs").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
await choose(presets[0]);
document.documentElement.dataset.ready = "true";
