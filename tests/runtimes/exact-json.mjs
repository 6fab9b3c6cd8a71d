// JSON whose numbers keep their digits: JavaScript's own would round 12345678901234567890, and the gate must not.

/** A number as it was written. */
export class NumberToken {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/** @param {string} text @returns {any} */
export function parse(text) {
  // A string literal is taken whole, so that digits inside one stay what they are.
  const marked = text.replace(/"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g, (part) => (part[0] === '"' ? part : `{"\\u0000number":"${part}"}`));
  return JSON.parse(marked, (_, value) => {
    const digits = value?.["\u0000number"];
    return digits === undefined ? value : new NumberToken(digits);
  });
}

/** Compact, as the core writes it. @param {any} value @returns {string} */
export function write(value) {
  if (value instanceof NumberToken) return value.text;
  if (Array.isArray(value)) return `[${value.map(write).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return `{${Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}:${write(member)}`).join(",")}}`;
}

/** Objects regardless of member order, numbers by value when both are exact. @param {any} a @param {any} b @returns {boolean} */
export function equal(a, b) {
  if (a instanceof NumberToken && b instanceof NumberToken) {
    return a.text === b.text || (Number.isSafeInteger(Number(a.text)) && Number(a.text) === Number(b.text));
  }
  if (Array.isArray(a) || Array.isArray(b)) {
    return Array.isArray(a) && Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return a === b;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.hasOwn(b, name) && equal(a[name], b[name]));
}
