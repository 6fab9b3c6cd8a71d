// The same rules at the edge, in front of a LangGraph server without auth: the project's file as it is.
// Its process.env needs the compatibility flag nodejs_compat.
import { Gate } from "postern";
import { auth } from "./auth.mjs";

const gate = await Gate.create({ upstream: { url: process.env.POSTERN_UPSTREAM }, auth });

export default {
  fetch: (request, _env, context) => gate.handle(request, context),
};
