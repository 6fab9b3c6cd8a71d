// The page of examples/browser in a real Chromium: the same wasm as everywhere, judged by what a person reads.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { startPage } from "../../examples/browser/serve.mjs";

let site, browser, page;
const faults = [];
const requested = [];

before(async () => {
  site = await startPage();
  browser = await chromium.launch({
    executablePath: process.env.POSTERN_CHROMIUM || "/usr/bin/chromium",
    args: [
      "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync",
    ],
  });
  page = await browser.newPage({ viewport: { width: 1360, height: 900 } });
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && faults.push(message.text()));
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => requested.push(request.url()));
  await page.goto(site.url);
  await page.locator("html[data-ready]").waitFor({ state: "attached" });
}, { timeout: 60_000 });
after(async () => {
  await browser?.close();
  await site?.close();
});

const outcome = () => page.locator("#outcome .verdict").innerText();
const choose = async (name) => {
  await page.getByRole("button", { name, exact: true }).click();
  await page.locator(`button[aria-pressed="true"]:text-is("${name}")`).waitFor();
};
/** Waits until the verdict reads so. */
const reads = async (pattern) => {
  for (let i = 0; i < 100; i++) {
    if (pattern.test((await outcome()).replace(/\s+/g, " "))) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.match(await outcome(), pattern);
};

for (const [name, verdict, stop] of [
  ["Create a thread", /^Passed: 200/, ""],
  ["Read your own", /^Passed: 200/, ""],
  ["Somebody else's thread", /^Refused: 404 ?object_unknown/, "Owner"],
  ["Stream a run", /^Passed: 200/, ""],
  ["Search", /^Passed: 200/, ""],
  ["No token", /^Refused: 401 ?credential_missing/, "Credential"],
  ["Expired", /^Refused: 401 ?token_expired/, "Token"],
  ["alg none", /^Refused: 401 ?algorithm_not_allowed/, "Token"],
  ["Edited payload", /^Refused: 401 ?signature_invalid/, "Token"],
  ["Other audience", /^Refused: 401 ?audience_mismatch/, "Token"],
  ["Pretend to be another user", /^Refused: 400 ?field_not_accepted/, "Request"],
  ["Webhook into the server", /^Refused: 400 ?field_not_accepted/, "Request"],
  ["Wipe everything", /^Refused: 40[34]/, "Request"],
]) {
  test(`preset: ${name}`, async () => {
    await choose(name);
    await reads(verdict);
    const stopped = await page.locator("#trail .stopped").allInnerTexts();
    assert.equal(stopped.map((text) => text.split(/[\n:]/)[0]).join(), stop);
    if (stop === "Owner") assert.match(await page.locator("#details").innerText(), /\/threads/);
    else if (stop !== "") assert.match(await page.locator("#details").innerText(), /Nothing\./);
  });
}

test("the owner's stamp is shown as a difference", async () => {
  await choose("Create a thread");
  await reads(/^Passed/);
  assert.match(await page.locator(".diff del").innerText(), /"owner": "bob"/);
  assert.match(await page.locator(".diff ins").innerText(), /"owner": "alice"/);
  assert.match(await page.locator("#details").innerText(), /threads:create/);
});

test("what is typed is judged: a token with one letter changed, another stored owner, another clock", async () => {
  await choose("Read your own");
  await reads(/^Passed/);
  await page.getByLabel("Metadata of the thread that is asked for").fill('{"owner":"carol"}');
  await reads(/^Refused: 404/);
  await page.getByLabel("Metadata of the thread that is asked for").fill('{"owner":"alice"}');
  await reads(/^Passed/);
  await page.getByLabel("Clock").fill("90");
  await reads(/token_expired/);
  await page.getByLabel("Clock").fill("0");
  await reads(/^Passed/);
  const token = page.getByLabel("Bearer token");
  const text = await token.inputValue();
  const at = text.lastIndexOf(".") + 10;
  await token.fill(text.slice(0, at) + (text[at] === "A" ? "B" : "A") + text.slice(at + 1));
  await reads(/signature_invalid/);
});

test("a policy is tried as it is written, and its mistakes are told", async () => {
  await choose("Read your own");
  await reads(/^Passed/);
  const policy = page.getByLabel("Policy, JSON with comments");
  await policy.fill('{ "*": "deny" }');
  await reads(/policy_denied/);
  await policy.fill('{ "*": "allow" }  // everyone');
  await reads(/^Passed/);
  await policy.fill('{ "thread:read": "allow" }');
  await reads(/configuration cannot be used/);
  assert.match(await page.locator("#outcome").innerText(), /thread:read/);
  assert.equal(await policy.getAttribute("aria-invalid"), "true");
});

test("it can be used with the keyboard, and says what it is to a screen reader", async () => {
  await choose("Read your own");
  await page.getByRole("button", { name: "Expired", exact: true }).focus();
  await page.keyboard.press("Enter");
  await reads(/token_expired/);
  await page.keyboard.press("Shift+Tab");
  await page.keyboard.press("Space");
  await reads(/credential_missing/);
  // Every field has a name of its own, and the verdict is announced.
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll("input, select, textarea")].filter((field) => !field.labels?.[0]?.textContent.trim()).map((field) => field.id),
  );
  assert.deepEqual(unnamed, []);
  assert.equal(await page.getByRole("status").count(), 1);
  assert.equal(await page.getByRole("main").count(), 1);
  assert.equal(await page.getByRole("heading", { level: 1 }).innerText(), "Postern");
});

test("text and background differ enough to be read, in light and dark", async () => {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const preset of ["Create a thread", "Expired"]) {
      await choose(preset);
      await reads(/Passed|Refused/);
      const poor = await page.evaluate(contrastFaults);
      assert.deepEqual(poor, [], `${colorScheme}, ${preset}`);
    }
  }
});

test("it fits a phone: nothing is cut off sideways", async () => {
  await page.setViewportSize({ width: 375, height: 800 });
  await choose("Create a thread");
  await reads(/^Passed/);
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
});

test("nothing left the page, and nothing went wrong in it", () => {
  assert.ok(requested.length > 0);
  assert.deepEqual(requested.filter((url) => !url.startsWith(site.url) && !url.startsWith("data:")), []);
  assert.deepEqual(faults, []);
});

/** Runs in the page: texts under WCAG's 4.5:1 against what is painted behind them. */
function contrastFaults() {
  const numbers = (/** @type {string} */ color) => (color.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = (/** @type {number[]} */ rgb) => {
    const [r, g, b] = rgb.map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faults = [];
  for (const element of document.querySelectorAll("body *")) {
    const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim());
    if (!hasText || element.closest(".hidden, .skip") || element.getClientRects().length === 0) continue;
    let behind = /** @type {Element | null} */ (element);
    while (behind && (numbers(getComputedStyle(behind).backgroundColor)[3] ?? 1) === 0) behind = behind.parentElement;
    const back = luminance(numbers(getComputedStyle(behind ?? document.body).backgroundColor).slice(0, 3));
    const front = luminance(numbers(getComputedStyle(element).color).slice(0, 3));
    const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    if (ratio < 4.5) faults.push(`${element.tagName} "${element.textContent?.trim().slice(0, 30)}" ${ratio.toFixed(2)}`);
  }
  return faults;
}
