// EXPOSE: ports and ranges, "80", "53/udp", "8000-8010/tcp"; as docker's go-connections reads them. Addresses and host ports
// are allowed there and mean nothing.

import { EngineError } from "../../../base/errors.ts";

function range(text: string): readonly [number, number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  return first <= last && last <= 65535 ? [first, last] : undefined;
}

function one(word: string): readonly string[] {
  const slash = word.lastIndexOf("/");
  const protocol = slash === -1 ? "tcp" : word.slice(slash + 1).toLowerCase();
  const ports = slash === -1 ? word : word.slice(0, slash);
  const container = ports.slice(ports.lastIndexOf(":") + 1);
  if (container === "") throw new EngineError("InvalidParameter", `no port specified: ${word}<empty>`);
  if (!["tcp", "udp", "sctp"].includes(protocol))
    throw new EngineError("InvalidParameter", `invalid proto: ${protocol}`);
  const found = range(container);
  if (found === undefined) throw new EngineError("InvalidParameter", `invalid containerPort: ${container}`);
  return Array.from({ length: found[1] - found[0] + 1 }, (_, i) => `${found[0] + i}/${protocol}`);
}

/** Sorted as text; a port that is named twice is there twice. @throws InvalidParameter what is none */
export function parseExposed(words: readonly string[]): readonly string[] {
  return words.flatMap(one).sort();
}
