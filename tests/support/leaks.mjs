// Looks for what no log and no output may hold: a credential, a key, a claim's value.
//
// What is found is told by its name and the place, never by its text: the report goes to a log too.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Shorter texts turn up by chance; a test that must look for one makes it longer. */
const lengthMin = 8;

// Shapes that give a secret away whoever made it: a JWS (its header starts with `{"`), a private JWK, PEM.
const shapes = [
  ["something like a token", /\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/],
  ["a private JWK", /"d"\s*:\s*"[A-Za-z0-9_-]{20,}"/],
  ["a private key in PEM", /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/],
];

/**
 * A token and what can be told from it: its parts, each also on its own, since a log could cut a token.
 * @param {string} name @param {string} token @returns {[string, string][]}
 */
export function partsOf(name, token) {
  const [, payload = "", signature = ""] = token.split(".");
  const parts = [[name, token], [`${name}, its payload`, payload], [`${name}, its signature`, signature]];
  return /** @type {[string, string][]} */ (parts.filter(([, text]) => text.length >= lengthMin));
}

/**
 * @param {string} text
 * @param {[string, string][]} secrets names and texts
 * @returns {string[]} the names of what is in it
 */
export function leaksIn(text, secrets) {
  const found = [];
  for (const [name, secret] of secrets) {
    if (secret.length < lengthMin) throw new Error(`${name} is too short to be looked for`);
    const encoded = encodeURIComponent(secret);
    const inBase64 = Buffer.from(secret).toString("base64url");
    if ([secret, encoded, inBase64].some((form) => text.includes(form))) found.push(name);
  }
  for (const [name, shape] of shapes) {
    if (shape.test(text)) found.push(name);
  }
  return found;
}

/**
 * Every file of a folder, whatever its name.
 * @param {string} folder
 * @param {[string, string][]} secrets names and texts
 * @returns {string[]} "FILE: NAME" for each that was found
 */
export function leaksInFolder(folder, secrets) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap((entry) => {
    const text = readFileSync(join(entry.parentPath ?? entry.path, entry.name), "utf8");
    return leaksIn(text, secrets).map((name) => `${entry.name}: ${name}`);
  });
}
