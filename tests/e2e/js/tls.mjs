// TLS with a private authority, which Node trusts by NODE_EXTRA_CA_CERTS. `scripts/test-e2e` makes the certificate.

import { X509Certificate, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const folder = process.env.E2E_TLS;
if (!folder) throw new Error("E2E_TLS names the folder of a certificate; scripts/test-e2e does it");

/** The section of the configuration. */
export const TLS = { enabled: true, cert_pem_file: join(folder, "cert.pem"), key_pem_file: join(folder, "key.pem") };

/** By which Chromium knows the certificate: the hash of its public key, and of no other. */
export function fingerprint() {
  const { publicKey } = new X509Certificate(readFileSync(TLS.cert_pem_file));
  return createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64");
}
