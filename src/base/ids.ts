// Identifiers that the engine makes: 64 lower-case hex digits. They are safe in paths by construction.

import { randomBytes } from "node:crypto";
import type { Brand } from "./brand.ts";
import { EngineError } from "./errors.ts";

export type ContainerId = Brand<"ContainerId">;
export type ExecId = Brand<"ExecId">;
export type NetworkId = Brand<"NetworkId">;

const full = /^[0-9a-f]{64}$/;
const allDigits = /^[0-9]+$/;

function newId(): string {
  // A short id of digits only would be taken for a number by hostname resolvers and shell scripts.
  for (;;) {
    const id = randomBytes(32).toString("hex");
    if (!allDigits.test(id.slice(0, 12))) return id;
  }
}

function parseId(kind: string, text: string): string {
  if (!full.test(text)) throw new EngineError("InvalidParameter", `invalid ${kind} id: ${JSON.stringify(text)}`);
  return text;
}

export function newContainerId(): ContainerId {
  return newId() as ContainerId;
}

export function newExecId(): ExecId {
  return newId() as ExecId;
}

export function newNetworkId(): NetworkId {
  return newId() as NetworkId;
}

/** @throws InvalidParameter unless 64 lower-case hex digits */
export function parseContainerId(text: string): ContainerId {
  return parseId("container", text) as ContainerId;
}

/** @throws InvalidParameter unless 64 lower-case hex digits */
export function parseNetworkId(text: string): NetworkId {
  return parseId("network", text) as NetworkId;
}

/** The first twelve digits, as Docker shows them. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
