// The part of the runtime that worker.ts uses; the variables are those of wrangler.jsonc.
declare module "cloudflare:workers" {
  export const env: Readonly<Record<"UPSTREAM_URL" | "ISSUER" | "AUDIENCE" | "JWKS_URI", string>>
    & Readonly<Partial<Record<"POSTERN_UPSTREAM" | "POSTERN_CONFIG" | "DENYLIST_SECONDS", string>>>
    & Readonly<{ DENYLIST?: { get(key: string): Promise<string | null> } }>;
}
