import { env } from "cloudflare:workers";
import { importJWK, jwtVerify } from "jose";

let key;
export default {
  async fetch(request) {
    key ??= await importJWK(JSON.parse(env.JWK), env.ALG);
    const { payload } = await jwtVerify(request.headers.get("authorization").slice(7), key, { algorithms: [env.ALG] });
    return new Response(payload.sub);
  },
};
