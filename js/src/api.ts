// What a program imports, whichever entry its runtime takes.
export { Gate } from "./gate.js";
export { cacheApiStore } from "./cache-store.js";
export type { CacheStoreOptions } from "./cache-store.js";
export type {
  ExplainRequest, Explanation, GateDecision, GateOptions, HandleOptions, KeyStore, User,
} from "./gate.js";
export type {
  CerbosOperand, CerbosPlan, FilterAction, FilterFor, FilterForm, FilterResource, HostUser, LangGraphFilter, SqlCondition,
} from "./filter.js";
export { HTTPException } from "./handlers.js";
export type {
  AuthenticatedAs, HandlerKey, HandlerQuestion, Handlers, HandlerUser, HandlerVerdict, LangGraphAuth,
} from "./handlers.js";
export { AuthError, ConfigError } from "./errors.js";
export type { ErrorCode } from "./errors.js";
export type {
  ApiKeys, Credential, Denied, Handover, HandlerCredential, IntrospectionCheck, JwtCredential, KnownUser, OnlineCheck, StaticTokens,
  SupabaseCheck,
} from "./config.js";
export type {
  Filter, GateConfig, Issuer, IssuerRules, JwkSet, Limits, PlainIssuer, Policy, PresetIssuer, PresetName, Rule, RuleKey,
  SymmetricKey, Upstream,
} from "./config.js";
export type { DenylistSource } from "./denylist.js";
export type { HostVerifier } from "./verifier.js";
export type { FetchFunction } from "./fetching.js";
export { testPolicy } from "./policy-test.js";
export type { PolicyCase, PolicyObject, PolicyOutcome, PolicyTestReport, PolicyTestResult, PolicyTests } from "./policy-test.js";
export { langgraphRoutes } from "./routes.js";
export type { LangGraphRoute } from "./routes.js";
export { JwsError, verifyJws, verifySignature } from "./verify.js";
