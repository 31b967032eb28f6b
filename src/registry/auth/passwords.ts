// Passwords of an Apache htpasswd file with bcrypt hashes (`htpasswd -B`). A right password is remembered for a few minutes
// (as a keyed digest), because bcrypt is slow by design; wrong ones are checked one at a time, and only so many may wait.

import { createHmac, randomBytes } from "node:crypto";
import { EngineError } from "../../base/errors.ts";
import { KeyedMutex } from "../../base/mutex.ts";
import { RegistryError } from "../errors.ts";
import { createCompare } from "./bcrypt.ts";

/** Hashes by user. */
export type Passwords = ReadonlyMap<string, string>;

const rememberMs = 5 * 60_000;
const maxRemembered = 1000;
const maxWaiting = 64;
const maxPasswordBytes = 1024;
// Unknown users cost as much time as known ones.
const nobody = `$2b$10$${".".repeat(53)}`;

/** @throws InvalidParameter a line that is none, a user twice, or another hash than bcrypt's */
export function parseHtpasswd(bytes: Buffer): Passwords {
  const users = new Map<string, string>();
  for (const [index, line] of bytes.toString("utf8").split(/\r?\n/).entries()) {
    if (line.trim() === "" || line.startsWith("#")) continue;
    const at = line.indexOf(":");
    const [user, hash] = [line.slice(0, at), line.slice(at + 1).trim()];
    const where = `line ${index + 1}`;
    if (at < 1) throw new EngineError("InvalidParameter", `${where} is not user:hash`);
    if (!/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash))
      throw new EngineError("InvalidParameter", `${where}: the hash is not bcrypt's; make it with htpasswd -B`);
    if (users.has(user)) throw new EngineError("InvalidParameter", `${where}: ${JSON.stringify(user)} appears twice`);
    users.set(user, hash);
  }
  return users;
}

export interface PasswordCheck {
  /**
   * @throws TOOMANYREQUESTS too many checks wait already
   */
  isRight(user: string, password: string): Promise<boolean>;
}

export function createPasswordCheck(passwords: () => Passwords): PasswordCheck {
  const key = randomBytes(32);
  const remembered = new Map<string, number>();
  const turn = new KeyedMutex();
  const compare = createCompare();
  let waiting = 0;

  function recall(proof: string): boolean {
    const until = remembered.get(proof);
    if (until !== undefined && until > performance.now()) return true;
    remembered.delete(proof);
    return false;
  }

  function remember(proof: string): void {
    const [oldest] = remembered.keys();
    if (remembered.size >= maxRemembered && oldest !== undefined) remembered.delete(oldest);
    remembered.set(proof, performance.now() + rememberMs);
  }

  return {
    async isRight(user, password) {
      if (Buffer.byteLength(password) > maxPasswordBytes) return false;
      const hash = passwords().get(user);
      const proof = createHmac("sha256", key)
        .update(JSON.stringify([user, password, hash ?? ""]))
        .digest("hex");
      if (recall(proof)) return true;
      if (waiting >= maxWaiting)
        throw new RegistryError("TOOMANYREQUESTS", "too many logins at once", { headers: { "Retry-After": "5" } });
      waiting += 1;
      try {
        using _ = await turn.lock("check");
        if (recall(proof)) return true;
        const right = await compare(password, hash ?? firstHash(passwords()) ?? nobody);
        if (!right || hash === undefined) return false;
        remember(proof);
        return true;
      } finally {
        waiting -= 1;
      }
    },
  };
}

function firstHash(passwords: Passwords): string | undefined {
  return passwords.values().next().value;
}
