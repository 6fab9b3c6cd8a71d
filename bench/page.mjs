// results.json and run.json -> the tables of README.md, below its marker, plots/*.svg, and the short table of the project's
// README.md. scripts/bench --page calls this.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { algorithms } from "./workload.mjs";
import { ratiosOf } from "./ratios.mjs";

const at = (name) => new URL(name, import.meta.url);
const results = JSON.parse(readFileSync(at("results.json"), "utf8"));
const run = JSON.parse(readFileSync(at("run.json"), "utf8"));
const runtimes = Object.keys(run.versions);

const us = (row, most = 10_000) =>
  row === undefined ? "" : row.median_us >= most ? `${(row.median_us / 1000).toFixed(0)} ms` : row.median_us >= 100 ? row.median_us.toFixed(0) : row.median_us.toPrecision(3);
const table = (head, rows) => [head, head.map((_, i) => (i === 0 ? "---" : "---:")), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
const rowsOf = (suite) =>
  Object.keys(results).flatMap((key) => {
    if (!key.startsWith(`${suite}.`)) return [];
    const [runtime, peer, width] = key.slice(suite.length + 1).split(".");
    return width === undefined ? [{ runtime, peer, row: results[key], inFlight: results[`${key}.x32`] }] : [];
  });

/** Contestants down, runtimes across; a cell is "sequential / in flight". */
function bySuite(suite) {
  const rows = rowsOf(suite);
  const across = runtimes.filter((runtime) => rows.some((row) => row.runtime === runtime));
  const peers = [...new Set(rows.map(({ peer }) => peer))];
  const cell = (peer, runtime) => {
    const found = rows.find((row) => row.runtime === runtime && row.peer === peer);
    if (!found) return "";
    const least = Math.min(...rows.filter((row) => row.runtime === runtime).map(({ row }) => row.median_us));
    const text = found.row.median_us === least && peers.length > 1 ? `**${us(found.row)}**` : us(found.row);
    return found.inFlight ? `${text} / ${us(found.inFlight)}` : text;
  };
  return table([suite, ...across], peers.map((peer) => [peer, ...across.map((runtime) => cell(peer, runtime))]));
}

// ------------------------------------------------------------------------------------------------------------------ plots

const colours = ["#0b6e4f", "#c1666b", "#48639c", "#d4a017", "#7d5ba6", "#6b705c", "#2a9d8f", "#8d99ae"];
const escape = (text) => String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const svg = (width, height, parts) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n${parts.join("\n")}\n</svg>\n`;
const text = (x, y, what, more = "") => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escape(what)}</text>`;

/** Bars of the medians, with a line from least to greatest; the scale is logarithmic, to the base of ten. */
function bars(title, groups) {
  const all = groups.flatMap(({ bars }) => bars.map(({ row }) => row));
  const low = Math.floor(Math.log10(Math.min(...all.map(({ min_us }) => Math.max(min_us, 0.1)))));
  const high = Math.ceil(Math.log10(Math.max(...all.map(({ max_us }) => max_us))));
  const [left, width, line] = [150, 560, 16];
  const x = (value) => left + ((Math.log10(Math.max(value, 10 ** low)) - low) / (high - low)) * width;
  const parts = [text(10, 20, title, 'font-size="15" font-weight="bold"')];
  let y = 44;
  const top = y;
  const marks = [];
  for (const { name, bars } of groups) {
    marks.push(text(10, y + line, name, 'font-weight="bold"'));
    for (const { peer, row, colour } of bars) {
      marks.push(`<rect x="${left}" y="${y + 3}" width="${(x(row.median_us) - left).toFixed(1)}" height="${line - 5}" fill="${colour}"/>`);
      marks.push(`<line x1="${x(row.min_us).toFixed(1)}" x2="${x(row.max_us).toFixed(1)}" y1="${y + line / 2}" y2="${y + line / 2}" stroke="#222" stroke-opacity="0.6"/>`);
      marks.push(text(left - 6, y + line - 4, peer, 'text-anchor="end"'), text(x(Math.max(row.max_us, row.median_us)) + 6, y + line - 4, us(row), 'fill="#444"'));
      y += line;
    }
    y += 10;
  }
  for (let power = low; power <= high; power++) {
    parts.push(`<line x1="${x(10 ** power)}" x2="${x(10 ** power)}" y1="${top - 8}" y2="${y}" stroke="#ddd"/>`, text(x(10 ** power), top - 12, `${10 ** power} us`, 'text-anchor="middle" fill="#777" font-size="10"'));
  }
  return svg(left + width + 70, y + 10, [...parts, ...marks]);
}

/** Cost against how many there are; both scales are logarithmic. */
function lines(title, series) {
  const points = series.flatMap(({ points }) => points);
  const [left, top, width, height] = [60, 50, 560, 300];
  const span = (values) => [Math.floor(Math.log10(Math.min(...values))), Math.max(Math.ceil(Math.log10(Math.max(...values))), Math.floor(Math.log10(Math.min(...values))) + 1)];
  const [xLow, xHigh] = span(points.map(([count]) => count));
  const [yLow, yHigh] = span(points.map(([, row]) => row.median_us));
  const x = (count) => left + ((Math.log10(count) - xLow) / (xHigh - xLow)) * width;
  const y = (value) => top + height - ((Math.log10(value) - yLow) / (yHigh - yLow)) * height;
  const parts = [text(10, 20, title, 'font-size="15" font-weight="bold"')];
  for (let power = xLow; power <= xHigh; power++) parts.push(text(x(10 ** power), top + height + 16, (10 ** power).toLocaleString("en"), 'text-anchor="middle" fill="#777" font-size="10"'));
  for (let power = yLow; power <= yHigh; power++) {
    parts.push(`<line x1="${left}" x2="${left + width}" y1="${y(10 ** power)}" y2="${y(10 ** power)}" stroke="#ddd"/>`, text(left - 6, y(10 ** power) + 4, `${10 ** power} us`, 'text-anchor="end" fill="#777" font-size="10"'));
  }
  series.forEach(({ name, points }, i) => {
    const colour = colours[i % colours.length];
    parts.push(`<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.map(([count, row]) => `${x(count).toFixed(1)},${y(row.median_us).toFixed(1)}`).join(" ")}"/>`);
    for (const [count, row] of points) parts.push(`<circle cx="${x(count).toFixed(1)}" cy="${y(row.median_us).toFixed(1)}" r="3" fill="${colour}"/>`);
    parts.push(text(left + width + 10, top + 14 + i * 18, name, `fill="${colour}"`));
  });
  return svg(left + width + 190, top + height + 30, parts);
}

mkdirSync(at("plots"), { recursive: true });
const peersOf = [...new Set(Object.keys(results).filter((key) => key.startsWith("verify.")).map((key) => key.split(".")[3]))];
const plotted = [];
for (const runtime of runtimes) {
  const groups = algorithms.flatMap((alg) => {
    const bars = rowsOf(`verify.${alg}`).filter((row) => row.runtime === runtime).map(({ peer, row }) => ({ peer, row, colour: colours[peersOf.indexOf(peer) % colours.length] }));
    return bars.length > 0 ? [{ name: alg, bars }] : [];
  });
  if (groups.length === 0) continue;
  writeFileSync(at(`plots/verify-${runtime}.svg`), bars(`One token after another, ${runtime} ${run.versions[runtime]}`, groups));
  plotted.push(runtime);
}

const growing = (what) => {
  const found = Object.entries(results).flatMap(([key, row]) => {
    const [, count, runtime] = new RegExp(`^growth\\.${what}-(\\d+)\\.([^.]+)\\.postern$`).exec(key) ?? [];
    return count === undefined ? [] : [{ count: Number(count), runtime, row }];
  });
  return { found, counts: [...new Set(found.map(({ count }) => count))].sort((a, b) => a - b), runtimes: [...new Set(found.map(({ runtime }) => runtime))] };
};
const growth = ["issuers", "keys", "tokens"].map((what) => ({ what, ...growing(what) })).filter(({ found }) => found.length > 0);
const series = growth.flatMap(({ what, found, runtimes }) =>
  runtimes.map((runtime) => ({
    name: `${what === "tokens" ? "cached tokens" : what}, ${runtime}`,
    points: found.filter((row) => row.runtime === runtime).sort((a, b) => a.count - b.count).map(({ count, row }) => [count, row]),
  })),
);
if (series.length > 0) writeFileSync(at("plots/growth.svg"), lines("One token, against how many issuers, keys and cached tokens there are", series));

// ------------------------------------------------------------------------------------------------------------------- page

const sections = [];
const section = (title, ...parts) => sections.push(`## ${title}`, ...parts);
section(
  "This run",
  `Commit ${run.commit}, ${run.rounds} rounds${run.quick ? ", `--quick`" : ""}, ${run.cores} cores (${run.cpu}); ${runtimes.map((name) => `${name} ${run.versions[name]}`).join(", ")}. Load when it began: ${run.load}${run.load > run.cores ? ": **a busy machine**, where the least say more than the medians" : ""}.`,
);
section(
  "What is promised",
  table(
    ["", "ratio of medians", "of the least", "at most", ""],
    ratiosOf(results).map(({ what, ratio, least, bar, met }) => [what, ratio.toFixed(3), least.toFixed(3), String(bar), met ? "met" : "**not met**"]),
  ),
);
section(
  "From string to user",
  "Microseconds, median: one after another / 32 in flight. The quickest of a runtime, one after another, is in bold.",
  ...algorithms.filter((alg) => rowsOf(`verify.${alg}`).length > 0).map((alg) => bySuite(`verify.${alg}`)),
  plotted.map((runtime) => `![verify in ${runtime}](plots/verify-${runtime}.svg)`).join("\n"),
);
const decisions = ["verify-cached.ES256", "authenticate.ES256", "gate.thread-get", "gate.thread-handle", "filter.owner"].filter((suite) => rowsOf(suite).length > 0);
section("Seen before, whole requests, decisions", ...decisions.map(bySuite));
if (rowsOf("cold").length > 0) section("Cold start", bySuite("cold"));
const sizes = Object.entries(results).filter(([key]) => key.startsWith("size."));
if (sizes.length > 0) {
  const n = (value) => value.toLocaleString("en");
  section("Sizes, bytes", table(["", "raw", "gzip", "brotli"], sizes.map(([key, row]) => [key.slice(5), n(row.raw_bytes), n(row.gzip_bytes), n(row.brotli_bytes)])));
}
if (series.length > 0) {
  section(
    "Growth",
    ...growth.map(({ what, found, counts, runtimes }) =>
      table([what === "tokens" ? "cached tokens" : what, ...counts.map((count) => count.toLocaleString("en"))], runtimes.map((runtime) => [runtime, ...counts.map((count) => us(found.find((row) => row.count === count && row.runtime === runtime)?.row))])),
    ),
    "![growth](plots/growth.svg)",
  );
}
// What wins where: said by the figures themselves.
const beaten = Object.entries(results).flatMap(([key, row]) => {
  const match = /^(verify(?:-cached)?|filter)\.([^.]+)\.([^.]+)\.postern$/.exec(key);
  if (!match) return [];
  const quicker = rowsOf(`${match[1]}.${match[2]}`).filter(({ runtime, peer, row: other }) => runtime === match[3] && !peer.startsWith("postern") && other.median_us < row.median_us);
  return quicker.length > 0 ? [[`${match[1]}.${match[2]}`, match[3], quicker.map(({ peer, row: other }) => `${peer} (${(row.median_us / other.median_us).toFixed(1)} times)`).join(", ")]] : [];
});
if (beaten.length > 0) section("Where others are quicker than Postern", table(["", "in", "who, and by how much"], beaten));

const marker = "<!-- made by scripts/bench --page from results.json; what is below is replaced -->";
const page = readFileSync(at("README.md"), "utf8").split(marker)[0].trimEnd();
writeFileSync(at("README.md"), `${page}\n\n${marker}\n\n${sections.join("\n\n")}\n`);

// The few rows that the project's own README shows.
const columns = [["node20", "postern"], ["node20", "jose"], ["node20", "fast-jwt"], ["workerd", "postern"], ["workerd", "jose"], ["native", "postern"], ["native", "openssl"]];
const names = { "fast-jwt": "fast-jwt", jose: "jose", openssl: "OpenSSL, signature alone", postern: "Postern" };
const places = { node20: "Node 20", workerd: "workerd", native: "native" };
const cell = (suite, runtime, peer) => {
  const found = rowsOf(suite).find((row) => row.runtime === runtime && row.peer === peer);
  return found === undefined ? "" : found.inFlight === undefined ? us(found.row) : `${us(found.row)} / ${us(found.inFlight)}`;
};
const [from, to] = ["<!-- made by scripts/bench --page -->", "<!-- end -->"];
const readme = readFileSync(at("../README.md"), "utf8");
const [start, end] = [readme.indexOf(from), readme.indexOf(to)];
if (start < 0 || end < start) throw new Error(`README.md: no ${from} … ${to} to put the table between`);
const shown = table(
  ["", ...columns.map(([runtime, peer]) => `${places[runtime]}: ${names[peer]}`)],
  [...["ES256", "EdDSA", "ES384", "HS256", "RS256"].map((alg) => [alg, `verify.${alg}`]), ["ES256, seen before", "verify-cached.ES256"]].map(([name, suite]) => [
    name, ...columns.map(([runtime, peer]) => cell(suite, runtime, peer)),
  ]),
);
writeFileSync(at("../README.md"), `${readme.slice(0, start)}${from}\n\n${shown}\n\n${readme.slice(end)}`);
