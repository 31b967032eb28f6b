// Method and path → handler. Patterns are literal segments and `{name}` placeholders; a placeholder of the last group but one
// may hold slashes, as image names do. Routes are tried in the order in which they were added.

import type { Handler } from "./exchange.ts";

export type Method = "GET" | "HEAD" | "POST" | "PUT" | "DELETE";

/** "GET /containers/{name}/json" and what answers it. */
export interface Route {
  readonly method: Method;
  readonly pattern: string;
  readonly handler: Handler;
}

export function route(method: Method, pattern: string, handler: Handler): Route {
  return { method, pattern, handler };
}

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

interface Compiled {
  readonly route: Route;
  readonly pattern: RegExp;
}

export class Router {
  /** By method and first segment, so that few patterns are tried. */
  readonly #routes = new Map<string, Compiled[]>();

  constructor(routes: readonly Route[]) {
    for (const each of routes) {
      const key = keyOf(each.method, each.pattern);
      const list = this.#routes.get(key) ?? [];
      list.push({ route: each, pattern: compile(each.pattern) });
      this.#routes.set(key, list);
    }
  }

  /** @param path decoded, without version */
  match(method: string, path: string): Match | undefined {
    for (const { route, pattern } of this.#routes.get(keyOf(method, path)) ?? []) {
      const match = pattern.exec(path);
      if (match !== null) return { route, params: match.groups ?? {} };
    }
    return undefined;
  }
}

function keyOf(method: string, path: string): string {
  return `${method} ${path.split("/", 2)[1] ?? ""}`;
}

function compile(pattern: string): RegExp {
  const source = pattern
    .split("/")
    .map((segment) => segment.replace(/^\{(\w+)\}$/, "(?<$1>.+)"))
    .join("/");
  return new RegExp(`^${source}$`, "s");
}
