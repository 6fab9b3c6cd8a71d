// Accounts in memory: an e-mail address and a password become a user, or nothing.
//
// Passwords are kept as scrypt hashes with their own salt. A wrong password and an unknown address take the same work and give
// the same answer, so the login cannot be used to ask who has an account.

import { randomBytes, randomUUID, scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const scryptAsync = /** @type {(password: string, salt: Buffer, length: number) => Promise<Buffer>} */ (promisify(scrypt));
const hashBytes = 32;

/** A development server is restarted often; a loop that signs up users should fail before it fills the memory. */
const accountsMax = 10_000;
/** GoTrue's own bounds: bcrypt reads 72 bytes, and the default minimum is six characters. */
const passwordBytesMax = 72;
const passwordLengthMin = 6;
const emailLengthMax = 255;
const emailShape = /^[^\s@"<>]+@[^\s@"<>]+\.[^\s@"<>.]+$|^[^\s@"<>]+@localhost$/;

/**
 * @typedef {object} User
 * @property {string} id
 * @property {string} email
 * @property {Record<string, unknown>} userMetadata written by the user: never a ground for a decision
 * @property {string} createdAt
 * @property {string | undefined} lastSignInAt
 */

/** A refusal in the issuer's words: an HTTP status, a code for programs, a sentence for people. */
export class Refusal extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export class Accounts {
  /** @type {Map<string, { user: User, salt: Buffer, hash: Buffer }>} by address in lower case */
  #byEmail = new Map();
  /** @type {Map<string, User>} */
  #byId = new Map();
  /** Compared against when the address is unknown, so that both refusals cost one scrypt. */
  #decoy = { salt: randomBytes(16), hash: randomBytes(hashBytes) };

  /** @param {unknown} email @param {unknown} password @param {unknown} userMetadata */
  async signUp(email, password, userMetadata) {
    const address = checkedEmail(email);
    const secret = checkedPassword(password);
    if (userMetadata !== undefined && !isPlainObject(userMetadata)) throw new Refusal(400, "validation_failed", "data must be an object");
    this.#refuseTaken(address);
    if (this.#byEmail.size >= accountsMax) throw new Refusal(429, "over_request_rate_limit", "Too many accounts; restart the issuer");
    const salt = randomBytes(16);
    const hash = await scryptAsync(secret, salt, hashBytes);
    this.#refuseTaken(address); // two sign-ups may have hashed at the same time
    const id = randomUUID();
    const user = {
      id,
      email: address,
      userMetadata: { ...userMetadata, email: address, email_verified: true, phone_verified: false, sub: id },
      createdAt: new Date().toISOString(),
      lastSignInAt: undefined,
    };
    this.#byEmail.set(address, { user, salt, hash });
    this.#byId.set(id, user);
    return user;
  }

  /** @param {unknown} email @param {unknown} password */
  async logIn(email, password) {
    if (typeof email !== "string" || typeof password !== "string") throw invalidCredentials();
    const account = this.#byEmail.get(email.toLowerCase());
    const { salt, hash } = account ?? this.#decoy;
    const given = await scryptAsync(password.slice(0, passwordBytesMax), salt, hashBytes);
    const same = timingSafeEqual(given, hash);
    if (!account || !same) throw invalidCredentials();
    return account.user;
  }

  /** @param {string} id */
  find(id) {
    return this.#byId.get(id);
  }

  /** @param {string} address */
  #refuseTaken(address) {
    if (this.#byEmail.has(address)) throw new Refusal(422, "user_already_exists", "User already registered");
  }
}

const invalidCredentials = () => new Refusal(400, "invalid_credentials", "Invalid login credentials");

/** @param {unknown} email */
function checkedEmail(email) {
  if (typeof email !== "string" || email.length > emailLengthMax || !emailShape.test(email)) {
    throw new Refusal(400, "validation_failed", "Unable to validate email address: invalid format");
  }
  return email.toLowerCase();
}

/** @param {unknown} password */
function checkedPassword(password) {
  if (typeof password !== "string" || password === "") throw new Refusal(400, "validation_failed", "Signup requires a valid password");
  if (password.length < passwordLengthMin) throw new Refusal(422, "weak_password", `Password should be at least ${passwordLengthMin} characters.`);
  if (Buffer.byteLength(password) > passwordBytesMax) {
    throw new Refusal(400, "validation_failed", `Password cannot be longer than ${passwordBytesMax} bytes`);
  }
  return password;
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export function isPlainObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
