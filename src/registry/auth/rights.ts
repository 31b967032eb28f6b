// Who may do what: the access file. Rules only grant; what no rule grants is refused.
// {"groups": {"team": ["alice"]}, "rules": [{"repositories": ["team/**"], "users": ["@team"], "rights": ["pull", "push"]}]}

import { EngineError } from "../../base/errors.ts";
import { optional, parseArray, parseJson, parseObject, parseString, parseStrings } from "../../spec/parse-json.ts";

export type Right = "pull" | "push" | "delete";

/** Something that a request needs: a right on a repository, or to look at the whole server (_catalog, metrics). */
export type Need =
  | { readonly repository: string; readonly right: Right }
  | { readonly server: "catalog"; readonly repository?: never };

interface Rule {
  readonly repositories: readonly string[];
  readonly users: readonly string[];
  readonly rights: ReadonlySet<string>;
}

/** The rights of users; undefined is somebody who did not say who they are. */
export interface Access {
  may(user: string | undefined, need: Need): boolean;
}

const rights = new Set(["pull", "push", "delete", "catalog"]);

/** Everybody who is logged in may do everything. */
export const everythingForUsers: Access = { may: (user) => user !== undefined };

function refused(message: string): EngineError {
  return new EngineError("InvalidParameter", `access file: ${message}`);
}

/** `*` is any text within one component, `**` any number of components, `{user}` the user's own name. */
export function matchesPattern(pattern: string, repository: string, user: string | undefined): boolean {
  if (pattern.includes("{user}") && user === undefined) return false;
  const expression = pattern
    .split("/")
    .map((part) => {
      if (part === "**") return "(?:[^/]+/)*[^/]+";
      return part
        .split(/(\*|\{user\})/)
        .map((piece) => (piece === "*" ? "[^/]*" : RegExp.escape(piece === "{user}" ? (user ?? "") : piece)))
        .join("");
    })
    .join("/");
  return new RegExp(`^${expression}$`).test(repository);
}

function parseRule(value: unknown, what: string, groups: ReadonlyMap<string, readonly string[]>): Rule {
  const object = parseObject(value, what);
  const unknown = Object.keys(object).find((key) => !["repositories", "users", "rights"].includes(key));
  if (unknown !== undefined) throw refused(`${what} has an unknown key ${JSON.stringify(unknown)}`);
  const users = parseStrings(object["users"], `${what}.users`).flatMap((user) => {
    if (!user.startsWith("@") || user === "@anyone" || user === "@users") return [user];
    const members = groups.get(user.slice(1));
    if (members === undefined) throw refused(`${what}: there is no group ${JSON.stringify(user.slice(1))}`);
    return members;
  });
  const granted = parseStrings(object["rights"], `${what}.rights`);
  const wrong = granted.find((right) => !rights.has(right));
  if (wrong !== undefined) throw refused(`${what}: ${JSON.stringify(wrong)} is none of ${[...rights].join(", ")}`);
  return {
    repositories: optional(object["repositories"], `${what}.repositories`, parseStrings) ?? [],
    users,
    rights: new Set(granted),
  };
}

/** @throws InvalidParameter malformed, or with a key, right or group that there is not */
export function parseAccess(bytes: Uint8Array): Access {
  const object = parseObject(parseJson(bytes, "access file"), "access file");
  const unknown = Object.keys(object).find((key) => key !== "groups" && key !== "rules");
  if (unknown !== undefined) throw refused(`unknown key ${JSON.stringify(unknown)}`);
  const groups = new Map(
    Object.entries(optional(object["groups"], "groups", parseObject) ?? {}).map(([name, members]) => [
      name,
      parseStrings(members, `groups.${name}`).map((member) => parseString(member, `groups.${name}`)),
    ]),
  );
  const rules = parseArray(object["rules"], "access file: rules").map((rule, index) =>
    parseRule(rule, `rules[${index}]`, groups),
  );
  const isFor = (rule: Rule, user: string | undefined): boolean =>
    rule.users.includes("@anyone") ||
    (user !== undefined && (rule.users.includes("@users") || (rule.users.includes(user) && !user.startsWith("@"))));
  return {
    may: (user, need) =>
      rules.some(
        (rule) =>
          isFor(rule, user) &&
          (need.repository === undefined
            ? rule.rights.has(need.server)
            : rule.rights.has(need.right) &&
              rule.repositories.some((pattern) => matchesPattern(pattern, need.repository, user))),
      ),
  };
}
