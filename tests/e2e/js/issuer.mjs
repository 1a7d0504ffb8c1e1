// An issuer of tokens with a key of each kind, and its key set on a real HTTP endpoint.

import { generateKeyPairSync } from "node:crypto";
import http from "node:http";
import { token } from "./token.mjs";

/** Algorithm by name: how its key is made. */
const KINDS = {
  RS256: ["rsa", { modulusLength: 2048 }],
  RS384: ["rsa", { modulusLength: 2048 }],
  RS512: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  ES384: ["ec", { namedCurve: "P-384" }],
  ES512: ["ec", { namedCurve: "P-521" }],
  EdDSA: ["ed25519", {}],
};

export class Issuer {
  static async start() {
    const issuer = new Issuer();
    issuer.requests = 0;
    issuer.keys = new Map();
    for (const algorithm of Object.keys(KINDS)) issuer.rotate(algorithm);
    issuer.server = http.createServer((_, response) => {
      issuer.requests += 1;
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ keys: issuer.#published() }));
    });
    await new Promise((resolve) => issuer.server.listen(0, "127.0.0.1", resolve));
    issuer.url = `http://127.0.0.1:${issuer.server.address().port}/keys`;
    return issuer;
  }

  /** A new key of this algorithm, under a new name. */
  rotate(algorithm) {
    const [kind, options] = KINDS[algorithm];
    const old = this.keys.get(algorithm)?.version ?? 0;
    this.keys.set(algorithm, { version: old + 1, kid: `${algorithm}-${old + 1}`, ...generateKeyPairSync(kind, options) });
  }

  #published() {
    return [...this.keys].map(([alg, { kid, publicKey }]) => ({ ...publicKey.export({ format: "jwk" }), kid, alg, use: "sig" }));
  }

  /** A token signed with the key of this algorithm. */
  token(algorithm, claims) {
    const { kid, privateKey: key } = this.keys.get(algorithm);
    return token(claims, { algorithm, key, kid });
  }

  pem(algorithm) { return this.keys.get(algorithm).publicKey.export({ type: "spki", format: "pem" }); }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}
