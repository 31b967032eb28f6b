// Files of containers: stat, archives out and in on created, running, paused and stopped ones, and what a container has changed.

import { gzipSync } from "node:zlib";
import { directory, file, hardlink, type RawMember, symlink, tarOf } from "../support/tar.ts";
import type { Step } from "./client.ts";
import { hostDirectory as host } from "./host-directory.ts";
import { create, del, get, image, type Json, pick, post } from "./steps.ts";
import { logText } from "./mount-insides.ts";
import { archived, pathStat, tarLines } from "./tar-view.ts";

const at = (container: string, path: string, more = ""): string =>
  `/containers/${container}/archive?path=${encodeURIComponent(path)}${more}`;

const stat = (container: string, path: string, more: Partial<Step> = {}): Step => ({
  name: `stat of ${container} ${path}`,
  method: "HEAD",
  path: at(container, path),
  read: pathStat,
  ...more,
});

const fetch = (container: string, path: string, more: Partial<Step> = {}): Step => ({
  name: `files of ${container} ${path}`,
  method: "GET",
  path: at(container, path),
  read: archived,
  ...more,
});

const put = (
  what: string,
  container: string,
  path: string,
  members: readonly RawMember[] | Buffer,
  query = "",
  more: Partial<Step> = {},
): Step => ({
  name: `put ${what} into ${container} ${path}${query}`,
  method: "PUT",
  path: at(container, path, query),
  body: Buffer.isBuffer(members) ? members : tarOf(...members),
  ...more,
});

const fixture: readonly RawMember[] = [
  directory("fix"),
  directory("fix/dir", { mode: 0o2750, uid: 5, gid: 6 }),
  directory("fix/dir/deep"),
  file("fix/dir/deep/file", "deep\n"),
  directory("fix/empty", { mode: 0o1777 }),
  file("fix/file", "content\n", { mode: 0o4640, uid: 7, gid: 8 }),
  hardlink("fix/dir/hard", "fix/file", { mode: 0o4640, uid: 7, gid: 8 }),
  symlink("fix/link", "file"),
  symlink("fix/dirlink", "dir"),
  symlink("fix/abslink", "/fix/dir"),
  symlink("fix/outlink", "../../../../etc"),
  symlink("fix/dangling", "nowhere/at/all"),
  symlink("fix/loop", "loop"),
  { name: "fix/pipe", type: "6", mode: 0o600 },
  { name: "fix/null", type: "3", mode: 0o666, devMajor: 1, devMinor: 3 },
  file("fix/unicode", "x", { pax: { path: "fix/unicode-é☃" } }),
  file(`fix/${"l".repeat(90)}`, "long"),
];

/** Of a directory that a runtime has made: modes are its affair. */
const namesIn: Step["read"] = ({ body }) => tarLines(body).map((line) => line.split(" ").at(-1));

/** The paths whose stat and content are compared. */
const paths: readonly string[] = [
  "/fix",
  "/fix/",
  "/fix/.",
  "fix",
  "./fix/dir",
  "/fix/dir/../file",
  "/fix/file",
  "/fix/file/",
  "/fix/file/.",
  "/fix/link",
  "/fix/link/",
  "/fix/dirlink",
  "/fix/dirlink/",
  "/fix/dirlink/.",
  "/fix/dirlink/deep",
  "/fix/abslink",
  "/fix/abslink/",
  "/fix/outlink",
  "/fix/dangling",
  "/fix/dangling/",
  "/fix/loop",
  "/fix/loop/",
  "/fix/pipe",
  "/fix/null",
  "/fix/empty",
  "/fix/unicode-é☃",
  "/fix/nope",
  "/fix/nope/",
  "/fix/file/nope",
  "/nope/nope",
  "/../../fix/empty",
];

const reading: readonly Step[] = [
  post(`${create}?name=files`, { Image: image, Cmd: ["true"] }, { select: pick("Warnings"), name: "create of files" }),
  put("the fixture", "files", "/", fixture),
  ...paths.flatMap((path) => [stat("files", path), fetch("files", path)]),
  stat("files", "/", { name: "stat of the root" }),
  { name: "stat without a path", method: "HEAD", path: "/containers/files/archive" },
  { name: "stat of an empty path", method: "HEAD", path: "/containers/files/archive?path=" },
  get("/containers/files/archive"),
  get("/containers/files/archive?path="),
  fetch("nope", "/fix"),
  stat("nope", "/fix"),
  { name: "archive of 1.24", method: "GET", path: `/v1.24${at("files", "/fix/empty")}`, read: archived },
  post("/containers/files/copy", { Resource: "/fix" }),
];

const clash = (what: string, member: RawMember, ours?: Step["ours"]): readonly Step[] => [
  put(what, "files", "/in", [member], "", { name: `put ${what} over it`, ...(ours && { ours }) }),
  fetch("files", "/in", { name: `after ${what} was put over it` }),
];

const writing: readonly Step[] = [
  put("a file", "files", "/fix/empty", [file("new", "x", { uid: 9, gid: 10, mode: 0o751 })]),
  put("a file", "files", "/fix/dirlink/deep", [file("new", "x")]),
  put("a file", "files", "/fix/dirlink", [file("through", "x")]),
  put("a file", "files", "fix/abslink/.", [file("relative", "x")]),
  put("a file", "files", "/fix/file", [file("new", "x")]),
  put("a file", "files", "/fix/file/", [file("new", "x")]),
  put("a file", "files", "/fix/nope", [file("new", "x")]),
  put("a file", "files", "/fix/nope/", [file("new", "x")]),
  put("a file", "files", "/fix/dangling", [file("new", "x")]),
  put("a file", "files", "/fix/loop", [file("new", "x")]),
  put("a file", "files", "", [file("new", "x")]),
  put("a file", "nope", "/fix", [file("new", "x")]),
  { name: "put without a path", method: "PUT", path: "/containers/files/archive", body: tarOf(file("new", "x")) },
  put("nothing", "files", "/fix/empty", []),
  put("an empty body", "files", "/fix/empty", Buffer.alloc(0)),
  put("what is no tar", "files", "/fix/empty", Buffer.from("this is no tar at all".repeat(100))),
  put("half a tar", "files", "/fix/empty", tarOf(file("half", "x".repeat(5000))).subarray(0, 2000)),
  put("a gzipped tar", "files", "/fix/empty", gzipSync(tarOf(file("zipped", "x")))),
  put("a file in a new directory", "files", "/fix/empty", [file("a/b/c", "x")]),
  put("hard links", "files", "/fix/empty", [file("one", "x"), hardlink("two", "one")]),
  put("a hard link to nothing", "files", "/fix/empty", [hardlink("three", "zero")]),
  put("a hostile name", "files", "/fix/empty", [file("../../escaped", "x")]),
  put("an absolute name", "files", "/fix/empty", [file("/absolute", "x")]),
  put("a hostile link", "files", "/fix/empty", [symlink("evil", "/etc"), file("evil/passwd-new", "x")]),
  put("a hostile hard link", "files", "/fix/empty", [hardlink("hosts", "../../../../etc/passwd")]),
  fetch("files", "/fix/empty", { name: "what all of them have left" }),
  stat("files", "/escaped", { name: "where a hostile name went" }),
  stat("files", "/etc/passwd-new", { name: "where a hostile link went" }),
  put("a directory and a file", "files", "/", [
    directory("in"),
    directory("in/d"),
    file("in/d/x", "x"),
    file("in/f", "f"),
  ]),
  put("a file named as a directory", "files", "/in", [file("d", "no")], "&noOverwriteDirNonDir=1"),
  put("a directory named as a file", "files", "/in", [directory("f")], "&noOverwriteDirNonDir=true"),
  put("a directory named as one", "files", "/in", [directory("d", { mode: 0o700 })], "&noOverwriteDirNonDir=1"),
  put("a file named as one", "files", "/in", [file("f", "again")], "&noOverwriteDirNonDir=1"),
  put("a file", "files", "/in", [file("g", "g")], "&noOverwriteDirNonDir=junk"),
  fetch("files", "/in", { name: "what kept its type" }),
  ...clash("a directory over a file", directory("f")),
  ...clash("a file over an empty directory", file("f", "f")),
  ...clash("a file over a full directory", file("d", "d")),
  ...clash("a link over a file", symlink("f", "/etc")),
  ...clash("a directory over a link", directory("f", { mode: 0o711 })),
  put("a file", "files", "/in", [file("owned", "x", { uid: 9, gid: 10 })], "&copyUIDGID=1"),
  stat("files", "/in/owned"),
  fetch("files", "/in/owned"),
];

const owners: readonly Step[] = ["1000:1001", "1000", "nobody"].flatMap((User) => [
  post(
    `${create}?name=owner`,
    { Image: image, Cmd: ["true"], User },
    { name: `create of an owner ${User}`, select: pick("Warnings") },
  ),
  put(
    "files",
    "owner",
    "/",
    [directory("own", { uid: 9 }), file("own/f", "x", { uid: 9, gid: 10 })],
    "&copyUIDGID=true",
    {
      name: `put files of ${User}`,
    },
  ),
  fetch("owner", "/own", { name: `owners of the files of ${User}` }),
  put("files", "owner", "/", [directory("own2", { uid: 9 })], "&copyUIDGID=0", {
    name: `put files of their own of ${User}`,
  }),
  fetch("owner", "/own2", { name: `owners of files of their own of ${User}` }),
  del("/containers/owner", { name: `removal of an owner ${User}` }),
]);

const readonly: readonly Step[] = [
  post(
    `${create}?name=locked`,
    {
      Image: image,
      Cmd: ["sleep", "1000"],
      HostConfig: {
        ReadonlyRootfs: true,
        Binds: ["files-rw:/rw", "files-ro:/ro:ro", `${host}/d:/bound:ro`],
        Tmpfs: { "/memory": "" },
      },
    },
    { name: "create of one with a read-only root", select: pick("Warnings") },
  ),
  ...["created", "running", "paused"].flatMap((state) => [
    ...(state === "running" ? [post("/containers/locked/start")] : []),
    ...(state === "paused" ? [post("/containers/locked/pause")] : []),
    ...["/", "/etc", "/rw", "/ro", "/bound", "/bound/inner", "/memory"].map((path) =>
      put("a file", "locked", path, [file(`of-${state}`, "x")], "", {
        name: `put a file into ${path} of a ${state} one`,
      }),
    ),
    fetch("locked", "/rw", { name: `volume of a ${state} one` }),
    fetch("locked", "/bound/inner", { name: `bind of a ${state} one` }),
    fetch("locked", "/memory", { name: `tmpfs of a ${state} one` }),
  ]),
  del("/containers/locked?force=1&v=1"),
];

const running: readonly Step[] = [
  post(
    `${create}?name=alive`,
    {
      Image: image,
      Cmd: ["sh", "-c", "until [ -e /v/go ]; do usleep 10000; done; cat /m/put /v/put /dev/shm/put /bin/put"],
      HostConfig: { Binds: ["files-v:/v", `${host}/g:/bound-file`], Tmpfs: { "/m": "" } },
    },
    { name: "create of one that is alive", select: pick("Warnings") },
  ),
  post("/containers/alive/start"),
  post(`/containers/alive/exec`, { Cmd: ["true"] }, { select: (json) => Object.keys(json as Json) }),
  put("a file", "alive", "/m", [file("put", "x")]),
  put("a file", "alive", "/v", [file("put", "x")]),
  put("a file", "alive", "/bin", [file("put", "x")]),
  put("a file", "alive", "/proc", [file("put", "x")], "", { name: "put a file into /proc" }),
  put("a file", "alive", "/dev/shm", [file("put", "x")]),
  put("a file over a bind of one", "alive", "/", [file("bound-file", "x")]),
  ...["/v", "/m", "/bound-file", "/dev/shm", "/bin/put"].map((path) => fetch("alive", path)),
  stat("alive", "/proc"),
  stat("alive", "/proc/self"),
  stat("alive", "/etc/hostname", { read: (answer) => Object.keys(pathStat(answer) as Json) }),
  put("the last file", "alive", "/v", [file("go")]),
  post("/containers/alive/wait", undefined, { select: pick("StatusCode") }),
  get("/containers/alive/logs?stdout=1&stderr=1", undefined, { name: "what one that was alive saw", read: logText }),
  ...["/v", "/m"].map((path) => fetch("alive", path, { name: `files of a stopped one ${path}`, read: namesIn })),
  put("a file", "alive", "/v", [file("after", "x")], "", { name: "put a file into a volume of a stopped one" }),
  put("a file", "alive", "/m", [file("after", "x")], "", { name: "put a file into a tmpfs of a stopped one" }),
  fetch("alive", "/v", { name: "volume of a stopped one" }),
  fetch("alive", "/m", { name: "tmpfs of a stopped one", read: namesIn }),
  del("/containers/alive?v=1"),
];

const byPath = (json: unknown): unknown =>
  (json as readonly Json[] | null)
    ?.map(({ Path, Kind }) => `${String(Kind)} ${String(Path)}`)
    .sort((a, b) => (a.slice(2) < b.slice(2) ? -1 : 1)) ?? null;

/** What a script changes of the fixture. */
const change = (what: string, script: string, body: Json = {}): readonly Step[] => [
  post(
    `${create}?name=changed`,
    { Image: "with-fixture", Cmd: ["sh", "-c", script], ...body },
    { name: `create of one that ${what}`, select: pick("Warnings") },
  ),
  post("/containers/changed/start", undefined, { name: `start of one that ${what}` }),
  post("/containers/changed/wait", undefined, { name: `end of one that ${what}`, select: pick("StatusCode") }),
  get("/containers/changed/changes", byPath, { name: `changes of one that ${what}` }),
  del("/containers/changed?v=1", { name: `removal of one that ${what}` }),
];

const changes: readonly Step[] = [
  get("/containers/nope/changes"),
  post(
    `${create}?name=base`,
    { Image: image, Cmd: ["true"] },
    { select: pick("Warnings"), name: "create of a base of changes" },
  ),
  get("/containers/base/changes", byPath, { name: "changes of a created one" }),
  put("the fixture", "base", "/", fixture),
  get("/containers/base/changes", byPath, { name: "changes of one with files put in" }),
  post("/commit?container=base&repo=with-fixture", undefined, { name: "commit of the fixture" }),
  del("/containers/base", { name: "removal of a base of changes" }),
  ...change("changes nothing", "true"),
  ...change("adds a file", "echo x >/fix/new"),
  ...change("adds a tree", "mkdir -p /new/a/b && touch /new/a/b/c"),
  ...change("appends", "echo more >>/fix/file"),
  ...change("writes the same", "cat /fix/file >/tmp/x; cat /tmp/x >/fix/file; rm /tmp/x"),
  ...change("changes a mode", "chmod 600 /fix/file"),
  ...change("changes an owner of a directory", "chown 1:1 /fix/dir"),
  ...change("touches a file", "touch -d '2001-02-03 04:05:06' /fix/file"),
  ...change("touches a directory", "touch -d '2001-02-03 04:05:06' /fix/dir"),
  ...change("removes a file", "rm /fix/file"),
  ...change("removes a tree", "rm -r /fix/dir"),
  ...change("removes and makes again", "rm -r /fix/dir && mkdir /fix/dir && touch /fix/dir/other"),
  ...change("removes and makes the same again", "rm -r /fix/dir && mkdir -p /fix/dir/deep && touch /fix/dir/deep/file"),
  ...change("makes a file of a directory", "rm -r /fix/dir && touch /fix/dir"),
  ...change("makes a directory of a file", "rm /fix/file && mkdir -p /fix/file/sub"),
  ...change("renames a file", "mv /fix/file /fix/moved"),
  ...change("renames a directory", "mv /fix/dir /fix/moved"),
  ...change("makes and removes", "touch /fix/gone && rm /fix/gone"),
  ...change("changes a link", "ln -sf other /fix/link"),
  ...change("makes a hard link", "ln /fix/file /fix/second"),
  ...change("makes a device", "mknod /fix/dev c 1 3 && mkfifo /fix/fifo"),
  ...change("writes into mounts", "touch /vol/x /mem/y /fix/bound/z", {
    Volumes: { "/vol": {} },
    HostConfig: { Tmpfs: { "/mem": "" }, Binds: [`${host}/d:/fix/bound`] },
  }),
  post(
    `${create}?name=busy`,
    { Image: "with-fixture", Cmd: ["sleep", "1000"] },
    { select: pick("Warnings"), name: "create of a busy one" },
  ),
  post("/containers/busy/start"),
  put("a file", "busy", "/fix", [file("put", "x")]),
  get("/containers/busy/changes", byPath),
  del("/containers/busy?force=1"),
  del("/images/with-fixture?force=1"),
];

export const files: readonly Step[] = [
  ...reading,
  ...writing,
  ...owners,
  ...readonly,
  ...running,
  ...changes,
  del("/containers/files", { name: "removal of files" }),
  ...["files-rw", "files-ro", "files-v"].map((name) => del(`/volumes/${name}`)),
];
