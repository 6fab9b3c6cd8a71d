// The build writes dist/core-inline.js.
export const base64: string;
