import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { hashSync } from "bcryptjs";
import { createPasswordCheck, parseHtpasswd } from "./passwords.ts";
import { type Access, matchesPattern, parseAccess } from "./rights.ts";
import { grantsCover, parseScopes, renderScopes } from "./scopes.ts";

function access(value: unknown): Access {
  return parseAccess(Buffer.from(JSON.stringify(value)));
}

test("patterns: one component, any number of components, the user's own name", () => {
  const cases: [string, string, string | undefined, boolean][] = [
    ["a", "a", undefined, true],
    ["a", "a/b", undefined, false],
    ["a/*", "a/b", undefined, true],
    ["a/*", "a/b/c", undefined, false],
    ["a/b-*", "a/b-c", undefined, true],
    ["a/**", "a/b/c", undefined, true],
    ["a/**", "a", undefined, false],
    ["**", "a/b/c", undefined, true],
    ["**/x", "a/b/x", undefined, true],
    ["a.b", "aXb", undefined, false],
    ["home/{user}/**", "home/me/x", "me", true],
    ["home/{user}/**", "home/you/x", "me", false],
    ["home/{user}/**", "home/you/x", "*", false],
    ["home/{user}/**", "home//x", undefined, false],
  ];
  for (const [pattern, repository, user, expected] of cases)
    assert.equal(matchesPattern(pattern, repository, user), expected, `${pattern} ${repository} ${user}`);
});

test("rules grant to users, groups, everybody who is logged in, and anyone; nothing else is granted", () => {
  const rights = access({
    groups: { team: ["alice", "bob"] },
    rules: [
      { repositories: ["public/**"], users: ["@anyone"], rights: ["pull"] },
      { repositories: ["shared/**"], users: ["@users"], rights: ["pull"] },
      { repositories: ["team/**"], users: ["@team"], rights: ["pull", "push"] },
      { repositories: ["**"], users: ["root"], rights: ["pull", "push", "delete", "catalog"] },
    ],
  });
  const may = (user: string | undefined, repository: string): string =>
    (["pull", "push", "delete"] as const).filter((right) => rights.may(user, { repository, right })).join(",");
  assert.equal(may(undefined, "public/x"), "pull");
  assert.equal(may(undefined, "shared/x"), "");
  assert.equal(may("carol", "shared/x"), "pull");
  assert.equal(may("carol", "team/x"), "");
  assert.equal(may("alice", "team/x"), "pull,push");
  assert.equal(may("root", "team/x"), "pull,push,delete");
  assert.equal(may("@team", "team/x"), "");
  assert.equal(rights.may("root", { server: "catalog" }), true);
  assert.equal(rights.may("alice", { server: "catalog" }), false);
});

test("an access file with a word that there is not is refused", () => {
  const rule = { repositories: ["a"], users: ["b"], rights: ["pull"] };
  for (const wrong of [
    { rules: [{ ...rule, rights: ["admin"] }] },
    { rules: [{ ...rule, users: ["@nobody"] }] },
    { rules: [{ ...rule, right: ["pull"] }] },
    { rules: [{ ...rule, users: "b" }] },
    { rule: [] },
    [],
  ])
    assert.throws(() => access(wrong), /./, JSON.stringify(wrong));
});

test("passwords of htpasswd -B are right or wrong, and a changed file counts at once", async () => {
  let users = parseHtpasswd(execFileSync("htpasswd", ["-nbB", "me", "secret"]));
  const check = createPasswordCheck(() => users);
  assert.equal(await check.isRight("me", "secret"), true);
  assert.equal(await check.isRight("me", "secret"), true);
  assert.equal(await check.isRight("me", "Secret"), false);
  assert.equal(await check.isRight("you", "secret"), false);
  assert.equal(await check.isRight("me", "x".repeat(2000)), false);
  users = new Map([["me", hashSync("other", 4)]]);
  assert.equal(await check.isRight("me", "secret"), false);
  assert.equal(await check.isRight("me", "other"), true);
});

test("so many passwords wait and no more", async () => {
  const users = new Map([["me", hashSync("secret", 4)]]);
  const check = createPasswordCheck(() => users);
  const results = await Promise.allSettled(Array.from({ length: 100 }, (_, i) => check.isRight("me", `wrong ${i}`)));
  assert.equal(results.filter(({ status }) => status === "rejected").length, 36);
  assert.equal(await check.isRight("me", "secret"), true);
});

test("htpasswd files with other hashes, or a user twice, are refused", () => {
  const hash = hashSync("x", 4);
  for (const text of ["me:$apr1$x$y", "me:{SHA}x", "me:plain", "nothing", `:${hash}`, `me:${hash}\nme:${hash}`])
    assert.throws(() => parseHtpasswd(Buffer.from(text)), /line/, text);
  assert.equal(parseHtpasswd(Buffer.from(`# comment\n\nme:${hash}\r\n`)).size, 1);
});

test("scopes are read and written as docker does", () => {
  assert.deepEqual(
    parseScopes(["repository:a/b:pull,push repository(plugin):c:pull", "nonsense", "registry:catalog:*"]),
    [
      { type: "repository", name: "a/b", actions: ["pull", "push"] },
      { type: "repository", name: "c", actions: ["pull"] },
      { type: "registry", name: "catalog", actions: ["*"] },
    ],
  );
  assert.equal(
    renderScopes([
      { repository: "a", right: "push" },
      { repository: "b", right: "pull" },
      { repository: "a", right: "pull" },
    ]),
    "repository:a:pull,push repository:b:pull",
  );
  assert.equal(renderScopes([{ server: "catalog" }]), "registry:catalog:*");
  const grants = [{ type: "repository", name: "a", actions: ["pull"] }];
  assert.equal(grantsCover(grants, { repository: "a", right: "pull" }), true);
  assert.equal(grantsCover(grants, { repository: "a", right: "push" }), false);
  assert.equal(grantsCover(grants, { repository: "aa", right: "pull" }), false);
  assert.equal(grantsCover([{ type: "repository", name: "catalog", actions: ["*"] }], { server: "catalog" }), false);
});
