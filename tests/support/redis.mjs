// A real Redis or Valkey of the test's own, and the few words of RESP2 that a test says to it.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { freePort } from "./services.mjs";

const candidates = [process.env.POSTERN_REDIS_SERVER, "redis-server", "valkey-server"];
const program = candidates.find((name) => name && spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);

/** Why the tests that need a server are skipped; false if there is one. */
export const withoutRedis = program === undefined && "no redis-server and no valkey-server: scripts/setup native, or POSTERN_REDIS_SERVER=<its program>";

/** Sends one command and gives its reply: a text, null for nothing there. Throws what the server refuses. @param {{ port: number, password?: string }} server */
export async function redisCommand({ port, password }, ...words) {
  const bulk = (command) => `*${command.length}\r\n${command.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`;
  const socket = connect(port, "127.0.0.1");
  const commands = [...(password ? [["AUTH", password]] : []), words, ["QUIT"]];
  socket.write(commands.map(bulk).join(""));
  const chunks = [];
  for await (const chunk of socket) chunks.push(chunk);
  let reply = Buffer.concat(chunks).toString("utf8");
  if (password) reply = reply.slice(reply.indexOf("\r\n") + 2);
  const line = reply.slice(0, reply.indexOf("\r\n"));
  if (line.startsWith("-")) throw new Error(line);
  if (line === "$-1") return null;
  return line.startsWith("$") ? reply.slice(line.length + 2, -"\r\n+OK\r\n".length) : line.slice(1);
}

/** @param {{ port?: number, password?: string }} [options] keeps nothing on disk: stopped and started again it is empty */
export async function startRedis({ port, password } = {}) {
  port ??= await freePort();
  const flags = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  // Not on the command line, as with every password.
  const child = spawn(program, [...flags, "-"], { stdio: ["pipe", "ignore", "ignore"] });
  child.stdin.end(password ? `requirepass ${password}\n` : "");
  const exited = once(child, "exit");
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const server = {
    port,
    command: (...words) => redisCommand({ port, password }, ...words),
    async stop() {
      process.removeListener("exit", kill);
      kill();
      await exited;
    },
  };
  for (let tries = 0; ; ++tries) {
    const pong = await server.command("PING").catch(() => undefined);
    if (pong === "PONG") return server;
    if (tries === 100 || child.exitCode !== null) throw new Error("redis-server does not answer");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
