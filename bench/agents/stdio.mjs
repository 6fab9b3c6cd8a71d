// The agent in Node, Deno and Bun: orders come as lines of JSON, answers go the same way.
import { createInterface } from "node:readline";
import { makeAgent } from "./agent.mjs";
import { contestants } from "./contestants.mjs";

const families = [contestants];
if (process.argv.includes("--node-peers")) families.push((await import("./node-peers.mjs")).nodeContestants);
const agent = makeAgent(families);
createInterface({ input: process.stdin }).on("line", async (line) => {
  const { order, ...rest } = JSON.parse(line);
  let answer;
  try {
    answer = await agent[order](rest);
  } catch (fault) {
    answer = { fault: `${order}: ${fault?.stack ?? fault}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
