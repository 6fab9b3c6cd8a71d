// The agent in a browser's page.
import { makeAgent } from "./agent.mjs";
import { contestants } from "./contestants.mjs";

const agent = makeAgent([contestants]);
globalThis.ask = async ({ order, ...rest }) => agent[order](rest);
