import { env } from "cloudflare:workers";

export default {
  fetch: () => new Response(env.SUBJECT),
};
