// Names of containers: what a name may be, and the ones that the engine makes up.

import { randomInt } from "node:crypto";
import { EngineError } from "../../base/errors.ts";
import { adjectives, surnames } from "./name-words.ts";

const pattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** dockerd's text for a name that is none; `shown` is what the client reads in the parentheses. */
export function invalidName(shown: string): EngineError {
  return new EngineError(
    "InvalidParameter",
    `Invalid container name (${shown}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
  );
}

/** The name without its slash. @throws InvalidParameter */
export function parseName(text: string): string {
  const name = text.startsWith("/") ? text.slice(1) : text;
  if (!pattern.test(name)) throw invalidName(text);
  return name;
}

export function nameInUse(name: string, holder: string): EngineError {
  return new EngineError(
    "Conflict",
    `Conflict. The container name "/${name}" is already in use by container "${holder}". You have to remove (or rename) that container to be able to reuse that name.`,
  );
}

/** A name that nobody has: adjective_surname, with a number behind it when the plain ones seem to run out. */
export function inventName(isTaken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const name = `${pick(adjectives)}_${pick(surnames)}${attempt < 6 ? "" : randomInt(10 ** Math.ceil(attempt / 6))}`;
    if (!isTaken(name)) return name;
  }
}

function pick(words: readonly string[]): string {
  return words[randomInt(words.length)] ?? "plain";
}
