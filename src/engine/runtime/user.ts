// User and groups of a process, looked up in the container's own /etc/passwd and /etc/group with Docker's rules:
// ids need no entry, names do; the primary group is always among the additional ones (CVE-2022-36109).
// Source: passwd(5), group(5); Engine API 1.51, ContainerConfig.User and HostConfig.GroupAdd.

import { EngineError } from "../../base/errors.ts";
import { readConfinedFile } from "./confined-file.ts";
import type { ResolvedUser } from "./index.ts";
import { maxId, parseNameOrId, parseUserText } from "./user-text.ts";
import type { NameOrId } from "./user-text.ts";

const maxFileBytes = 1024 * 1024;

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

interface GroupEntry {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

/** An id as the files write it; anything else is no id, and never 0. */
function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id > maxId ? undefined : id;
}

/** Whole lines only: of a file that was cut off the last one is not trusted. */
function linesOf(content: Buffer | undefined): readonly string[] {
  if (content === undefined) return [];
  const text = content.toString("utf8");
  const lines = text.split("\n");
  if (content.length >= maxFileBytes) lines.pop();
  return lines;
}

function parsePasswd(content: Buffer | undefined): readonly PasswdEntry[] {
  return linesOf(content).flatMap((line) => {
    const [name = "", , uidText, gidText, , home = ""] = line.split(":");
    const uid = parseId(uidText);
    const gid = parseId(gidText);
    if (name === "" || name.startsWith("#") || uid === undefined || gid === undefined) return [];
    return [{ name, uid, gid, home: /^\/\P{Cc}*$/u.test(home) ? home : "/" }];
  });
}

function parseGroup(content: Buffer | undefined): readonly GroupEntry[] {
  return linesOf(content).flatMap((line) => {
    const [name = "", , gidText, members = ""] = line.split(":");
    const gid = parseId(gidText);
    return name === "" || name.startsWith("#") || gid === undefined ? [] : [{ name, gid, members: members.split(",") }];
  });
}

function isNamed(entry: { readonly name: string }, wanted: NameOrId, id: number): boolean {
  return "id" in wanted ? entry.name === String(wanted.id) || id === wanted.id : entry.name === wanted.name;
}

function findGid(groups: readonly GroupEntry[], wanted: NameOrId): number {
  const entry = groups.find((group) => isNamed(group, wanted, group.gid));
  if (entry !== undefined) return entry.gid;
  if ("id" in wanted) return wanted.id;
  throw new EngineError("InvalidParameter", `unable to find group ${wanted.name}: no matching entries in group file`);
}

/** RuntimeSpecs.resolveUser. */
export async function resolveUser(
  text: string,
  groupAdd: readonly string[],
  roots: readonly string[],
  read: typeof readConfinedFile = readConfinedFile,
): Promise<ResolvedUser> {
  const wanted = parseUserText(text);
  if (typeof wanted === "string") throw new EngineError("InvalidParameter", wanted);
  const added = groupAdd.map((group) => {
    const parsed = parseNameOrId(group);
    if (typeof parsed === "string") throw new EngineError("InvalidParameter", parsed);
    return parsed;
  });
  const [passwd, group] = await Promise.all([
    read(roots, "/etc/passwd", maxFileBytes),
    read(roots, "/etc/group", maxFileBytes),
  ]);
  const groups = parseGroup(group);
  const { user } = wanted;
  const entry = parsePasswd(passwd).find((candidate) => isNamed(candidate, user, candidate.uid));
  if (entry === undefined && "name" in user) {
    throw new EngineError("InvalidParameter", `unable to find user ${user.name}: no matching entries in passwd file`);
  }
  const uid = entry?.uid ?? ("id" in user ? user.id : maxId);
  const gid = wanted.group === undefined ? (entry?.gid ?? 0) : findGid(groups, wanted.group);
  const memberships =
    wanted.group === undefined && entry !== undefined
      ? groups.filter(({ members }) => members.includes(entry.name)).map((each) => each.gid)
      : [];
  const additionalGids = new Set([gid, ...memberships, ...added.map((each) => findGid(groups, each))]);
  return { uid, gid, additionalGids: [...additionalGids], home: entry?.home ?? "/" };
}
