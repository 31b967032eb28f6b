// What a container sees of its mounts: the content, its owners and modes, who may write, the order of mounts in each other; and starts that fail.

import type { Step } from "./client.ts";
import { hostDirectory as host } from "./host-directory.ts";
import { create, del, get, image, type Json, pick, post } from "./steps.ts";

/** Standard output and error of a container without a terminal. */
export function logText({ body }: { readonly body: Buffer }): string {
  let text = "";
  for (let at = 0; at + 8 <= body.length; ) {
    const size = body.readUInt32BE(at + 4);
    text += body.subarray(at + 8, at + 8 + size).toString();
    at += 8 + size;
  }
  return text;
}

/** A container that runs a script, and what that prints. */
function inside(what: string, body: Json, script: string, start: Partial<Step> = {}): readonly Step[] {
  const step = (deed: string): { readonly name: string } => ({ name: `${what}: ${deed}` });
  return [
    post(
      `${create}?name=inside`,
      { Image: image, Cmd: ["sh", "-c", `exec 2>&1; ${script}`], ...body },
      { ...step("create"), select: pick("Warnings") },
    ),
    post("/containers/inside/start", undefined, { ...step("start"), ...start }),
    post("/containers/inside/wait", undefined, { ...step("exit"), select: pick("StatusCode") }),
    get("/containers/inside/logs?stdout=1&stderr=1", undefined, { ...step("what it says"), read: logText }),
    del("/containers/inside?v=1", step("removal")),
  ];
}

/** Lines `target ro|rw` of the mounts under /t, in the order in which they were made. */
const table =
  "while read a b c d target options rest; do case $target in /t*) echo $target ${options%%,*};; esac; done </proc/self/mountinfo";
/** Of /t and all that is in it: mode, owner and kind, of files how many names they have, of links where they lead. */
const tree =
  "find /t -type d | sort | xargs stat -c '%n %a %u:%g %F'; find /t ! -type d | sort | while read f; do stat -c '%n %a %u:%g %h %F' $f; done; find /t -type l -exec readlink {} ';'";
const memory =
  'grep " /t " /proc/self/mounts | tr "," "\\n" | grep -E "^(size|mode|uid|gid|nr_inodes|ro|rw|noexec|nosuid|nodev|exec|tmpfs)" | sort';
const writes = "echo x >/t/new && echo written || true; cat /t/new";

const mount = (...Mounts: readonly Json[]): Json => ({ HostConfig: { Mounts } });
const bind = (...Binds: readonly string[]): Json => ({ HostConfig: { Binds } });
const from = { Image: "with-content" };

/** An image whose /t has something of everything. */
const content: readonly Step[] = [
  post(
    `${create}?name=writer`,
    {
      Image: image,
      Cmd: [
        "sh",
        "-c",
        "mkdir -p /t/dir/deep /t/empty /void && echo 1 >/t/file && ln /t/file /t/dir/hard && ln -s ../file /t/dir/soft && ln -s /etc /t/out && chmod 4750 /t/file && chown 5:6 /t/file && chown 7:8 /t /t/dir && chmod 1770 /t && chmod 700 /t/empty && echo 2 >/t/dir/deep/two && mkfifo /t/pipe && ln -s /t /void/link",
      ],
    },
    { select: pick("Warnings"), name: "create of a writer" },
  ),
  post("/containers/writer/start"),
  post("/containers/writer/wait", undefined, { select: pick("StatusCode") }),
  post("/commit?container=writer&repo=with-content", undefined, { name: "commit of content" }),
  del("/containers/writer"),
];

const copied: readonly Step[] = [
  ...inside("an anonymous volume over content", { ...from, Volumes: { "/t": {} } }, tree),
  ...inside("a new volume over content", { ...from, ...bind("copied:/t") }, `${tree}; echo 3 >/t/mine; rm /t/file`),
  ...inside("a volume that was filled once", { ...from, ...bind("copied:/t") }, tree),
  ...inside("a volume that was filled, elsewhere", bind("copied:/t"), tree),
  ...inside("a volume with nocopy", { ...from, ...bind("uncopied:/t:nocopy") }, tree),
  ...inside("a volume that stayed empty", { ...from, ...bind("uncopied:/t") }, tree),
  ...inside("a read-only volume over content", { ...from, ...bind("copied-ro:/t:ro") }, `${tree}; ${writes}`),
  ...inside("a mount of a volume over content", { ...from, ...mount({ Type: "volume", Target: "/t" }) }, tree),
  ...inside(
    "a mount of a volume with NoCopy",
    { ...from, ...mount({ Type: "volume", Target: "/t", VolumeOptions: { NoCopy: true } }) },
    tree,
  ),
  ...inside("a volume over a file", { ...from, ...bind("over-file:/t/file") }, "stat -c %F /t/file"),
  ...inside("a volume over a link", { ...from, ...bind("over-link:/void/link") }, tree),
  ...inside(
    "a volume over what is not there",
    { ...from, ...bind("over-nothing:/t/new/place") },
    `stat -c '%a %u:%g %F' /t/new/place; ${table}`,
  ),
  ...inside("an empty directory of a volume over content", { ...from, Volumes: { "/t/empty": {} } }, tree),
  ...inside("two volumes in each other", { ...from, ...bind("in:/t/dir", "out:/t") }, `${tree}; ${table}`),
  ...inside("a bind over content", { ...from, ...bind(`${host}/d:/t`) }, "find /t | sort"),
  ...inside("a tmpfs over content", { ...from, HostConfig: { Tmpfs: { "/t": "" } } }, `${memory}; ls -A /t`),
];

const access: readonly Step[] = [
  ...inside("a bind", bind(`${host}/d:/t`), `${table}; cat /t/inner/file; ${writes}`),
  ...inside("a read-only bind", bind(`${host}/d:/t:ro`), `${table}; ${writes}`),
  ...inside("a bind of a file", bind(`${host}/f:/t/file`), "cat /t/file; echo more >>/t/file; cat /t/file"),
  ...inside("a bind of what is made for it", bind(`${host}/new/dir:/t`), "stat -c '%a %u:%g %F' /t"),
  ...["rprivate", "private"].flatMap((mode) =>
    inside(`a bind that is ${mode}`, bind(`${host}/d:/t:${mode}`), "grep -c ' /t .* shared:' /proc/self/mountinfo"),
  ),
  ...inside("a read-only root with a volume", { HostConfig: { ReadonlyRootfs: true, Binds: ["rw:/t"] } }, writes),
  ...inside(
    "mounts in each other, in no order",
    mount(
      { Type: "tmpfs", Target: "/t/a/b" },
      { Type: "bind", Source: `${host}/d`, Target: "/t/a/b/c" },
      { Type: "volume", Source: "nested", Target: "/t" },
      { Type: "bind", Source: `${host}/d`, Target: "/t/a", ReadOnly: false },
    ),
    `${table}; find /t | sort`,
  ),
];

const tmpfs: readonly Step[] = [
  ...inside("a tmpfs", { HostConfig: { Tmpfs: { "/t": "" } } }, memory),
  ...inside("a tmpfs with options", { HostConfig: { Tmpfs: { "/t": "size=1m,mode=0700,uid=5,gid=6,exec" } } }, memory),
  ...inside("a read-only tmpfs", { HostConfig: { Tmpfs: { "/t": "ro" } } }, memory),
  ...inside("a mount of a tmpfs", mount({ Type: "tmpfs", Target: "/t" }), memory),
  ...inside(
    "a mount of a tmpfs with options",
    mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 65_536, Mode: 0o1770, Options: [["exec"]] } }),
    memory,
  ),
  ...inside("a read-only mount of a tmpfs", mount({ Type: "tmpfs", Target: "/t", ReadOnly: true }), memory),
  ...inside(
    "a mount of a tmpfs of no whole page",
    mount({ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 5000 } }),
    memory,
  ),
  ...inside("a tmpfs volume", bind("tmpfs-volume:/t"), memory),
];

const volumeParts: readonly Step[] = [
  ...inside(
    "a volume to take parts of",
    { ...from, ...bind("parts:/t") },
    "ln -s dir /t/near; ln -s ../.. /t/up; mkdir /t/dir/sub; echo in >/t/dir/sub/x",
  ),
  ...["dir", "dir/sub", "./dir/", "near", "near/sub", "file", "out", "up", "nope", "dir/nope", "file/x"].flatMap(
    (Subpath) =>
      inside(
        `a part of a volume: ${Subpath}`,
        mount({ Type: "volume", Source: "parts", Target: "/t", VolumeOptions: { Subpath } }),
        "find /t | sort",
      ),
  ),
  ...inside(
    "a read-only part of a volume",
    mount({ Type: "volume", Source: "parts", Target: "/t", ReadOnly: true, VolumeOptions: { Subpath: "dir" } }),
    `${table}; ${writes}`,
  ),
  ...inside(
    "a part of a volume that nobody has made",
    mount({ Type: "volume", Source: "unmade", Target: "/t", VolumeOptions: { Subpath: "a" } }),
    "find /t",
  ),
];

const imageParts: readonly Step[] = [
  ...inside("an image", mount({ Type: "image", Source: "with-content", Target: "/t" }), `ls -A /t /t/t; ${writes}`),
  ...["t", "t/dir", "void/link", "t/file", "t/out", "nope"].flatMap((Subpath) =>
    inside(
      `a part of an image: ${Subpath}`,
      mount({ Type: "image", Source: "with-content", Target: "/t", ImageOptions: { Subpath } }),
      "find /t | sort",
    ),
  ),
  post(
    `${create}?name=user`,
    { Image: image, Cmd: ["true"], ...mount({ Type: "image", Source: "with-content", Target: "/t" }) },
    { name: "create of a user of an image", select: pick("Warnings") },
  ),
  del("/images/with-content", { name: "removal of an image that is mounted" }),
  del("/containers/user"),
];

const shared: readonly Step[] = [
  post(
    `${create}?name=giver`,
    {
      Image: image,
      Cmd: ["sh", "-c", "echo given >/t/gift; sleep 1000"],
      Volumes: { "/t": {} },
      HostConfig: { Binds: ["given:/t/named:ro"], Tmpfs: { "/t/memory": "" } },
    },
    { select: pick("Warnings"), name: "create of a giver" },
  ),
  post("/containers/giver/start"),
  ...inside("volumes of another", { HostConfig: { VolumesFrom: ["giver"] } }, `cat /t/gift; ${table}; ${writes}`),
  ...inside("read-only volumes of another", { HostConfig: { VolumesFrom: ["giver:ro"] } }, `${table}; ${writes}`),
  del("/containers/giver?force=1&v=1"),
];

const failing: readonly Step[] = [
  post(
    "/volumes/create",
    { Name: "broken", DriverOpts: { type: "none", o: "bind", device: "/nope/there" } },
    { select: pick("Name") },
  ),
  ...inside("a volume that cannot be mounted", bind("broken:/t"), "true"),
  post("/volumes/create", { Name: "unknown", DriverOpts: { type: "nofs", device: "x" } }, { select: pick("Name") }),
  ...inside("a volume of a file system that there is not", bind("unknown:/t"), "true"),
  ...inside("a directory over a file", { ...from, ...bind(`${host}/d:/t/file`) }, "true"),
  ...inside("a file over a directory", { ...from, ...bind(`${host}/f:/t/dir`) }, "true"),
  ...inside("a mount through a link that leads out", { ...from, ...bind(`${host}/d:/t/out/new`) }, "ls /etc/new"),
];

export const mountInsides: readonly Step[] = [
  ...content,
  ...copied,
  ...access,
  post(
    "/volumes/create",
    { Name: "tmpfs-volume", DriverOpts: { type: "tmpfs", device: "tmpfs", o: "size=64k,mode=0711,uid=9" } },
    { select: pick("Name") },
  ),
  ...tmpfs,
  ...volumeParts,
  ...imageParts,
  ...shared,
  ...failing,
  del("/images/with-content?force=1"),
  ...["tmpfs-volume", "broken", "unknown"].map((name) => del(`/volumes/${name}?force=1`)),
];
