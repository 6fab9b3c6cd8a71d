// Tables for docs/peers.md: what a script prints it also puts between its markers there, with --write.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const page = new URL("../../docs/peers.md", import.meta.url);
const { dependencies } = createRequire(import.meta.url)("../package.json");

/** "jose 6.2.17", from what bench/package.json pins. @param {string} name */
export const withVersion = (name) => `${name.split("/").at(-1)} ${dependencies[name]}`;

/** @param {string[]} head @param {string[][]} rows */
export function markdown(head, rows) {
  return [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Prints the text, and with --write puts it between `<!-- NAME -->` and `<!-- /NAME -->`. @param {string} name @param {string} text */
export function publish(name, text) {
  console.log(text);
  if (!process.argv.includes("--write")) return;
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const old = readFileSync(page, "utf8");
  const [from, to] = [old.indexOf(start), old.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`docs/peers.md has no ${start} ... ${end}`);
  writeFileSync(page, `${old.slice(0, from + start.length)}\n${text}\n${old.slice(to)}`);
}
