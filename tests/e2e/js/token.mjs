// Tokens as an application would make them, and as an attacker would.

import { createHmac, sign as signature } from "node:crypto";

export const SECRET = "a secret of the end-to-end tests, 32 bytes and more";

const base64 = (value) => Buffer.from(value).toString("base64url");
const HASHES = { 256: "sha256", 384: "sha384", 512: "sha512" };

/** A signed token. `key` is a secret for HS*, a private key otherwise; `kid` names it in a key set. */
export function token(claims, { algorithm = "HS256", key = SECRET, kid } = {}) {
  const head = `${base64(JSON.stringify({ alg: algorithm, typ: "JWT", ...(kid && { kid }) }))}.${base64(JSON.stringify(claims))}`;
  return `${head}.${seal(head, algorithm, key)}`;
}

function seal(text, algorithm, key) {
  const hash = HASHES[algorithm.slice(2)];
  switch (algorithm.slice(0, 2)) {
    case "HS": return createHmac(hash, key).update(text).digest("base64url");
    case "RS": return signature(hash, Buffer.from(text), key).toString("base64url");
    case "ES": return signature(hash, Buffer.from(text), { key, dsaEncoding: "ieee-p1363" }).toString("base64url");
    case "Ed": return signature(null, Buffer.from(text), key).toString("base64url");
    case "no": return "";
    default: throw new Error(`no such algorithm: ${algorithm}`);
  }
}

/** Seconds since 1970, this much from now. */
export const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;

export const connectionToken = (user, claims = {}) => token({ sub: user, exp: inSeconds(300), ...claims });
export const subscriptionToken = (user, channel, claims = {}) => token({ sub: user, channel, exp: inSeconds(300), ...claims });
