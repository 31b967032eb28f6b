// What the scenarios are written with: requests that are compared whole, in part, or by status and message alone.

import type { Step } from "./client.ts";

export type Json = Readonly<Record<string, unknown>>;

/** The image that the scenarios import. */
export const image = "conformance";
export const create = "/containers/create";

/** Where dockerd answers 500 and Gantry does not. */
export const clientFault = { status: 400, why: "a fault of the client is no 5xx" } as const;

export function get(path: string, select?: Step["select"], more: Partial<Step> = {}): Step {
  return { name: `GET ${path}`, method: "GET", path, ...(select === undefined ? {} : { select }), ...more };
}

export function post(path: string, body?: unknown, more: Partial<Step> = {}): Step {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const name = `POST ${path}${text === undefined ? "" : ` ${text.slice(0, 200)}`}`;
  return { name, method: "POST", path, ...(text === undefined ? {} : { body: text }), ...more };
}

export function del(path: string, more: Partial<Step> = {}): Step {
  return { name: `DELETE ${path}`, method: "DELETE", path, ...more };
}

export function pick(...keys: readonly string[]): (json: unknown) => unknown {
  return (json) => Object.fromEntries(keys.map((key) => [key, (json as Json)[key]]));
}

export function whole(json: unknown): unknown {
  return json;
}
