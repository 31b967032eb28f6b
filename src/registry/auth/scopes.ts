// Scopes, "repository:team/app:pull,push", as challenges and token requests write them.
// Source: Docker's "Token Scope Documentation".

import type { Grant } from "./tokens.ts";
import type { Need } from "./rights.ts";

const maxScopes = 100;

/** The scopes of token requests; what is none is left out. One value may have several, with spaces between them. */
export function parseScopes(texts: readonly string[]): readonly Grant[] {
  return texts
    .flatMap((text) => text.split(" "))
    .filter((text) => text !== "")
    .slice(0, maxScopes)
    .flatMap((text) => {
      const m = /^(repository|registry)(?:\([a-z0-9]+\))?:([^,\s]+):([a-z*,]*)$/.exec(text);
      if (m === null) return [];
      const [, type = "", name = "", actions = ""] = m;
      return [{ type, name, actions: actions.split(",").filter((action) => action !== "") }];
    });
}

/** The scopes that a challenge asks for. */
export function renderScopes(needs: readonly Need[]): string {
  const actions = new Map<string, string[]>();
  for (const need of needs) {
    const key = need.repository === undefined ? `registry:${need.server}` : `repository:${need.repository}`;
    const before = actions.get(key) ?? [];
    const added = need.repository === undefined ? ["*"] : need.right === "push" ? ["pull", "push"] : [need.right];
    actions.set(key, [...before, ...added.filter((action) => !before.includes(action))]);
  }
  return [...actions].map(([key, list]) => `${key}:${list.join(",")}`).join(" ");
}

/** Whether a token's grants cover a need; `*` stands for every action. */
export function grantsCover(grants: readonly Grant[], need: Need): boolean {
  const [type, name, action] =
    need.repository === undefined ? ["registry", need.server, "*"] : ["repository", need.repository, need.right];
  return grants.some(
    (grant) =>
      grant.type === type && grant.name === name && (grant.actions.includes(action) || grant.actions.includes("*")),
  );
}
