// The keys that bearer tokens are checked with: from files of the server's operator, never from a token. A token may name one
// of them (kid), or bring a chain of certificates (x5c) that ends at one of them.
// Source: RFC 7515, 4.1; Docker's token authentication specification ("libtrust" key ids).

import { createHash, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { EngineError, messageOf } from "../../base/errors.ts";

/** A key with the names that tokens call it by. */
export interface TokenKey {
  readonly key: KeyObject;
  readonly ids: readonly string[];
  readonly certificate: X509Certificate | undefined;
}

const maxChain = 5;
const base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

function spki(key: KeyObject): Buffer {
  return key.export({ type: "spki", format: "der" });
}

/** Docker's name of a key: 240 bits of its SHA-256 in base32, in groups of four. */
export function libtrustKeyId(key: KeyObject): string {
  let bits = "";
  for (const byte of createHash("sha256").update(spki(key)).digest().subarray(0, 30))
    bits += byte.toString(2).padStart(8, "0");
  const text = (bits.match(/.{5}/g) ?? []).map((five) => base32.charAt(Number.parseInt(five, 2))).join("");
  return (text.match(/.{4}/g) ?? []).join(":");
}

/** Source: RFC 7638. */
function jwkThumbprint(key: KeyObject): string {
  const { crv, e, kty, n, x, y } = key.export({ format: "jwk" });
  const members = kty === "RSA" ? { e, kty, n } : { crv, kty, x, y };
  return createHash("sha256").update(JSON.stringify(members)).digest("base64url");
}

/** A key with its ids; RSA and P-256 keys only. @throws InvalidParameter another key */
export function tokenKey(key: KeyObject, certificate?: X509Certificate): TokenKey {
  const isRsa = key.asymmetricKeyType === "rsa" && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;
  const isP256 = key.asymmetricKeyType === "ec" && key.asymmetricKeyDetails?.namedCurve === "prime256v1";
  if (!isRsa && !isP256)
    throw new EngineError("InvalidParameter", "a key is neither RSA of 2048 bits or more nor P-256");
  return { key, certificate, ids: [libtrustKeyId(key), jwkThumbprint(key)] };
}

/** All certificates and public keys of a PEM file. @throws InvalidParameter none, or an unsuitable one */
export function parseTokenKeys(bytes: Buffer): readonly TokenKey[] {
  const blocks = bytes.toString("latin1").match(/-----BEGIN ([A-Z ]+)-----[\s\S]+?-----END \1-----/g) ?? [];
  const keys = blocks.flatMap((block) => {
    if (block.includes("PRIVATE KEY")) return [];
    try {
      if (!block.startsWith("-----BEGIN CERTIFICATE-----")) return [tokenKey(createPublicKey(block))];
      const certificate = new X509Certificate(block);
      return [tokenKey(certificate.publicKey, certificate)];
    } catch (cause) {
      throw new EngineError("InvalidParameter", messageOf(cause), { cause });
    }
  });
  if (keys.length === 0) throw new EngineError("InvalidParameter", "there is no certificate or public key in it");
  return keys;
}

function isValidNow(certificate: X509Certificate): boolean {
  const now = Date.now();
  return certificate.validFromDate.getTime() <= now && now <= certificate.validToDate.getTime();
}

/**
 * The key of a chain's first certificate, when the chain ends at a trusted one.
 *
 * @param chain as in x5c: base64 of DER, the signer's first
 */
export function keyOfChain(chain: readonly string[], trusted: readonly TokenKey[]): KeyObject | undefined {
  if (chain.length === 0 || chain.length > maxChain) return undefined;
  let certificates: X509Certificate[];
  try {
    certificates = chain.map((item) => new X509Certificate(Buffer.from(item, "base64")));
  } catch {
    return undefined;
  }
  const roots = trusted.flatMap(({ certificate }) => (certificate === undefined ? [] : [certificate]));
  for (const [index, certificate] of certificates.entries()) {
    if (!isValidNow(certificate) || (index > 0 && !certificate.ca)) return undefined;
    const isRoot = roots.some((root) => root.raw.equals(certificate.raw));
    const issuedByRoot = roots.some(
      (root) => root.ca && isValidNow(root) && certificate.checkIssued(root) && certificate.verify(root.publicKey),
    );
    if (isRoot || issuedByRoot) return certificates[0]?.publicKey;
    const issuer = certificates[index + 1];
    if (issuer === undefined || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
      return undefined;
  }
  return undefined;
}
