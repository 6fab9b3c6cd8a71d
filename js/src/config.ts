// The configuration's type. The text is checked by the core, which knows every rule; these types help
// an editor. Keys keep the spelling they have in a file.

/** A JWK Set, RFC 7517 section 5: public keys only. */
export interface JwkSet {
  keys: readonly Record<string, unknown>[];
}

/** A shared secret, for issuers that sign with HMAC. */
export interface SymmetricKey {
  alg: "HS256" | "HS384" | "HS512";
  /** The secret, or `"$NAME"` to take it from the environment. */
  secret: string;
  kid?: string;
}

/** Rules that every issuer may set, preset or not. */
export interface IssuerRules {
  /** Where the JWK Set is. Without it, and without keys, it is discovered at the issuer. */
  jwks_uri?: string;
  /** Origins besides the issuer's own that a discovered `jwks_uri` may be on. */
  jwks_origins?: string | readonly string[];
  /** Keys that are fixed here: nothing is fetched unless `jwks_uri` is named too. */
  keys?: JwkSet;
  symmetric_keys?: readonly SymmetricKey[];
  /** What a token may be signed with, by the names of RFC 7518. Symmetric ones come with their key. */
  algorithms?: readonly string[];
  /** Accepted values of the token's `typ`. Default: JWT and at+jwt. */
  types?: readonly string[];
  /** Refuse a token without `typ`. */
  type_required?: boolean;
  /** Claims that must have exactly this value. */
  require?: Readonly<Record<string, string>>;
  /** The claim that says who it is. Default: `sub`. */
  identity_claim?: string;
  /**
   * Put before the identity, at most 64 bytes, for example `"supabase|"`. Several issuers each need one that no other
   * begins with, unless `shared_identities` is spelled out.
   */
  identity_prefix?: string;
  /** For `exp`, `nbf` and `iat`. Default 5, at most 300. */
  leeway_seconds?: number;
  /** How long a fetched JWK Set is taken as fresh. */
  max_age_seconds?: number;
  /** How long past that it may still be used while the issuer does not answer. */
  stale_seconds_max?: number;
}

/** Any issuer of JWTs. */
export interface PlainIssuer extends IssuerRules {
  /** The exact `iss` of its tokens. */
  issuer: string;
  preset?: never;
  url?: never;
  /** Whom the tokens must be for. Required, unless `any_audience` is spelled out. */
  audience?: string | readonly string[];
  /** Accept tokens the issuer made for anybody. Shouted at start. */
  any_audience?: boolean;
}

export type PresetName = "supabase" | "auth0" | "google" | "cognito" | "entra" | "okta" | "keycloak" | "clerk";

/** A provider whose issuer, keys and rules follow from its URL; docs/configuration.md lists what each fixes. */
export interface PresetIssuer extends IssuerRules {
  preset: PresetName;
  /** For example `https://PROJECT.supabase.co`, `https://TENANT.auth0.com`, `https://ORG.okta.com/oauth2/default`. */
  url: string;
  issuer?: string;
  /** Whom the tokens must be for. Supabase's is `authenticated`; every other preset needs it said. */
  audience?: string | readonly string[];
  any_audience?: boolean;
}

export type Issuer = PlainIssuer | PresetIssuer;

/** The agent server behind the gate. */
export interface Upstream {
  url: string;
  api?: "langgraph";
  /** Sent with every request; a value may be `"$NAME"`. */
  headers?: Readonly<Record<string, string>>;
  /** Names of the graphs that may be run. Without it: any name. */
  graphs?: readonly string[];
}

type Scalar = string | number | boolean;

/** A condition on an object's metadata, in LangGraph's words. */
export type Filter = {
  readonly [field: string]:
    | Scalar
    | { readonly $eq: Scalar }
    | { readonly $contains: Scalar | readonly Scalar[] }
    | readonly Filter[];  // under $and and $or
};

/** What a policy's row says. A rule with a stamp and no filter is refused: it would open everything. */
export type Rule =
  | "allow"
  | "deny"
  | { readonly filter: Filter; readonly stamp?: Readonly<Record<string, Scalar>> };

type Resource = "threads" | "assistants" | "crons" | "store" | "*";
type Action =
  | "create" | "read" | "update" | "delete" | "search" | "create_run" | "put" | "get" | "list_namespaces";

/** `RESOURCE:ACTION`, `RESOURCE`, `*:ACTION` or `*`; the most specific row wins, and no row is a denial. */
export type RuleKey = Resource | `${Resource}:${Action}`;

export type Policy = { readonly [key in RuleKey]?: Rule };

export interface Limits {
  /** The longest body a client may send. Default 10 MiB. */
  body_bytes_max?: number;
  /** The longest reply that is read to be judged. Default 16 MiB. */
  reply_bytes_max?: number;
  /** To the first byte of a reply. Default 60,000. */
  upstream_time_limit_ms?: number;
  /** For the tables that make busy keys verify faster. Default 8 MiB; 0: none. */
  table_bytes_max?: number;
}

/** The whole configuration, as in a file. */
export interface GateConfig {
  $schema?: string;
  issuers: readonly Issuer[];
  /** The same identity from two issuers is the same person. Without it several issuers each need an `identity_prefix`. */
  shared_identities?: boolean;
  upstream: Upstream;
  /** Without it: every user sees their own threads (`owner`), and the server's own graphs. */
  policy?: Policy;
  limits?: Limits;
  /** `"portable"`: mbedTLS verifies wherever it can, instead of the own, faster code. The answers are the same. */
  verifier?: "own" | "portable";
  /** Of tokens that were verified. `bytes_max`: default 8 MiB; 0: every token is verified each time. */
  token_cache?: { bytes_max?: number };
}
