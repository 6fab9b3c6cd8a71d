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
  /** Becomes the user's display name. Default: `name`. A path such as `app_metadata.name` reaches into a claim. */
  display_name_claim?: string;
  /** Become the user's permissions. Default: `permissions` and `scope`. */
  permission_claims?: string | readonly string[];
  /** Fields of the user's own, and the claims they come from; `$user.fields.NAME` in the policy. */
  fields?: Readonly<Record<string, string>>;
  /** Claims that users can write themselves (Supabase's `user_metadata`) and that the four above may rest on all the same. */
  user_writable_claims_allowed?: string | readonly string[];
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

/** A user that the configuration knows by the SHA-256 of what they show; `postern hash-token` makes it. */
export interface KnownUser {
  /** 64 hexadecimal digits or 43 characters of base64url. */
  sha256: string;
  display_name?: string;
  permissions?: string | readonly string[];
  /** `"$NAME"` is a secret from the environment; what looks like one must be, or say `{ public: value }`. */
  fields?: Readonly<Record<string, Scalar | { readonly public: Scalar }>>;
}

/** Bearer tokens of the `issuers`. */
export interface JwtCredential { kind: "jwt" }

/** A table of bearer tokens. */
export interface StaticTokens {
  kind: "static_tokens";
  identity_prefix?: string;
  tokens: readonly (KnownUser & { identity: string })[];
}

/** Keys `PREFIX_ID_SECRET` in a header of their own. */
export interface ApiKeys {
  kind: "api_keys";
  identity_prefix?: string;
  /** Default: `x-api-key`. */
  header?: string;
  /** Before the id. Default: `pk`. */
  prefix?: string;
  /** These keys, and nothing else, admit requests of LangGraph Studio (`x-auth-scheme: langsmith`). */
  studio?: boolean;
  keys: readonly (KnownUser & { id: string; identity?: string })[];
}

/** What both kinds of online check have. */
export interface OnlineCheck extends Pick<
  IssuerRules, "identity_claim" | "display_name_claim" | "permission_claims" | "fields" | "user_writable_claims_allowed" | "identity_prefix"
> {
  /** How long a good answer serves, never past the token's own end. Default 60, at most 3600. */
  cache_seconds?: number;
  /** How long a bad answer serves. Default 10, at most 300. */
  negative_cache_seconds?: number;
  /** How long the authority may take; then 503. Default 5000. */
  time_limit_ms?: number;
}

/** Supabase is asked about each token (`/auth/v1/user`). */
export interface SupabaseCheck extends OnlineCheck {
  kind: "supabase";
  url: string;
  /** The project's anon key; a value may be `"$NAME"`. */
  apikey: string;
}

/** An authority is asked about each token, RFC 7662. */
export interface IntrospectionCheck extends OnlineCheck {
  kind: "introspection";
  url: string;
  client_id: string;
  client_secret: string;
  /** The exact `iss` of an answer that has one. */
  issuer?: string;
  audience?: string | readonly string[];
  any_audience?: boolean;
}

/** The program's `authenticate` handler; the last of the list. */
export interface HandlerCredential {
  kind: "handler";
  identity_prefix?: string;
}

export type Credential = JwtCredential | StaticTokens | ApiKeys | SupabaseCheck | IntrospectionCheck | HandlerCredential;

/** A credential that is no longer good, by its names. */
export type Denied =
  | { readonly iss: string; readonly jti: string }
  | { readonly iss: string; readonly sub: string; readonly issued_before: number }
  | { readonly api_key: string };

/** What the agent server is told of the user. */
export interface Handover {
  /** A signed word about the user, as `Authorization: Bearer` in place of the client's. */
  assertion?: {
    alg?: "ES256" | "HS256";
    /** `"$NAME"`: for ES256 a private JWK, for HS256 a secret of 32 bytes or more. */
    key: string;
    /** Default: the upstream's URL. */
    audience?: string;
    /** Default and most: 60. */
    lifetime_seconds?: number;
  };
  /** `x-user-id`, `x-user-name`, `x-user-permissions`, percent-encoded. */
  headers?: boolean;
  /** `config.configurable.langgraph_auth_user`, `_user_id` and `_permissions` of runs. */
  configurable?: boolean;
  /** Secret fields of users that go along in assertion and configurable. */
  secret_fields?: string | readonly string[];
}

/** The agent server behind the gate. */
export interface Upstream {
  url: string;
  api?: "langgraph";
  /** Sent with every request; a value may be `"$NAME"`. */
  headers?: Readonly<Record<string, string>>;
  /** Names of the graphs that may be run. Without it: any name. */
  graphs?: readonly string[];
  identity?: Handover;
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
/** The gate as an OAuth protected resource (RFC 9728), so that MCP clients can log in; docs/mcp.md. */
export interface ProtectedResource {
  /** What clients use, and ask tokens for (RFC 8707); among the `audience` of every issuer. */
  url: string;
  /** Where clients log in. Default: the issuers. */
  authorization_servers?: string | readonly string[];
  /** What clients may ask for. */
  scopes_supported?: string | readonly string[];
  /** For people. */
  name?: string;
  /** Where people read about it. */
  documentation?: string;
  /** Accept tokens that were not made for `url`, for issuers that cannot make such. Said aloud at every start. */
  unbound_audience_allowed?: boolean;
}

export interface GateConfig {
  $schema?: string;
  /** May be left out where `credentials` says all there is. */
  issuers?: readonly Issuer[];
  /** Ways to say who one is, in order: the first that applies decides. Without it: the issuers alone. */
  credentials?: readonly Credential[];
  /** A cookie that may hold a bearer token, for pages of these origins. */
  cookie?: { name: string; origins: string | readonly string[] };
  denylist?: readonly Denied[];
  resource?: ProtectedResource;
  /** The same identity from two sources is the same person. Without it several sources each need an `identity_prefix`. */
  shared_identities?: boolean;
  upstream: Upstream;
  /** Without it: every user sees their own threads (`owner`), and the server's own graphs. */
  policy?: Policy;
  limits?: Limits;
  /** Browsers that may call the gate. Without it no page of another origin may. */
  cors?: {
    /** Of the pages; or `"*"`. */
    origins: string | readonly string[];
    /** Request headers beyond `authorization`, `content-type`, `accept`, `last-event-id`. */
    headers?: string | readonly string[];
    /** Headers of replies that a page may read beyond the usual ones. */
    exposed_headers?: string | readonly string[];
    /** How long a browser may keep the answer to a preflight. Default 600. */
    max_age_seconds?: number;
  };
  /** `"portable"`: mbedTLS verifies wherever it can, instead of the own, faster code. The answers are the same. */
  verifier?: "own" | "portable";
  /** Of tokens that were verified. `bytes_max`: default 8 MiB; 0: every token is verified each time. */
  token_cache?: { bytes_max?: number };
}
