// Serves the page and, under /postern/, the built package:  node serve.mjs [--port N]
//
// To publish it, put this folder's files on any static host, with js/dist beside them as `postern/`.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const page = new URL("./", import.meta.url);
const built = new URL("../../js/dist/", import.meta.url);
const types = {
  ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
  ".js": "text/javascript; charset=utf-8", ".wasm": "application/wasm",
};

/** @param {{ port?: number }} [options] */
export async function startPage({ port = 0 } = {}) {
  const server = createServer(async (request, reply) => {
    // One folder each, no way up: a name is letters, digits, dot and dash.
    const match = /^\/(postern\/)?([a-z0-9.-]*)$/i.exec((request.url ?? "").split("?")[0]);
    const name = match?.[2] || "index.html";
    const type = types[/** @type {keyof typeof types} */ (extname(name))];
    const folder = match?.[1] ? built : page;
    const body = match && type && name !== "serve.mjs" ? await readFile(fileURLToPath(new URL(name, folder))).catch(() => undefined) : undefined;
    if (body === undefined) return reply.writeHead(404).end();
    reply.writeHead(200, { "content-type": type, "cache-control": "no-cache", "x-content-type-options": "nosniff" }).end(body);
  });
  await new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(undefined));
  });
  const address = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((/** @type {(value?: undefined) => void} */ resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({ options: { port: { type: "string", default: "8080" } } });
  const { url } = await startPage({ port: Number(values.port) });
  console.log(`the page is at ${url}`);
}
