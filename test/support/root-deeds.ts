// What containers and build steps do to their root, as a shell's lines, and a base layer to do it in.

import { directory, file, hardlink, symlink, tarOf } from "./tar.ts";

export const capability = "0100000200040000000000000000000000000000";
export const setXattr = (path: string, name: string, hex: string): string =>
  `python3 -c 'import os,sys;os.setxattr(sys.argv[1],sys.argv[2],bytes.fromhex(sys.argv[3]))' ${path} ${name} ${hex}`;

export const base = tarOf(
  directory("etc"),
  file("etc/passwd", "root:x:0:0\n"),
  file("etc/gone", "gone"),
  directory("usr"),
  directory("usr/lib", { mode: 0o2755, gid: 9 }),
  file("usr/lib/a", "a".repeat(1000)),
  hardlink("usr/lib/b", "usr/lib/a"),
  symlink("lib", "usr/lib"),
  directory("var"),
  directory("var/cache"),
  file("var/cache/old", "old"),
  directory("opt"),
  directory("opt/tree"),
  file("opt/tree/f", "f", { mode: 0o4755, uid: 5 }),
  { name: "null", type: "3", devMajor: 1, devMinor: 3 },
);

/** What a container may do, as a shell's lines in its root. */
export const deeds: Readonly<Record<string, string>> = {
  "nothing at all": "",
  "a changed file": "echo more >> etc/passwd",
  "a new tree": "mkdir -p new/deep/er; echo x > new/deep/er/f; echo y > new/g",
  "deleted files": "rm etc/gone lib null",
  "a deleted directory": "rm -r var/cache",
  "a directory deleted and made anew": "rm -r var/cache; mkdir var/cache; echo new > var/cache/new",
  "a renamed directory": "mv opt/tree opt/wood",
  "a file in place of a directory, and the other way round":
    "rm -r opt/tree; echo x > opt/tree; rm etc/passwd; mkdir etc/passwd",
  "hard links among new and old files": "echo x > one; ln one two; ln one etc/three; ln etc/passwd etc/shadow",
  "owners, modes, set-user-id": "echo x > s; chown 3000000:4000000 s; chmod 6755 s; chmod 700 usr; chown 7:8 lib -h",
  capabilities: `echo x > ping; ${setXattr("ping", "security.capability", capability)}`,
  "user attributes of files and directories": `${setXattr("etc/passwd", "user.note", "00ff0a3d")}; mkdir u; ${setXattr("u", "user.x", "41")}`,
  "device nodes and FIFOs": "mknod n c 5 1; mknod b b 7 300; mkfifo etc/fifo; chmod 640 n",
  "times to the nanosecond, before 1970 and far away": [
    "touch -d '2020-02-02 02:02:02.123456789 UTC' t1",
    "touch -d '1965-01-01 00:00:00.25 UTC' t2",
    "touch -d '1960-01-01 UTC' t3",
    "touch -d '2020-02-02 02:02:02.5 UTC' opt",
    "touch -h -d '2020-02-02 02:02:02.100 UTC' lib",
  ].join("; "),
  "sparse files": "truncate -s 5M sparse; echo x >> sparse",
  "long names and links": `mkdir -p ${"l".repeat(200)}/${"m".repeat(200)}; echo > ${"n".repeat(99)}; echo > ${"n".repeat(100)}; mkdir ${"d".repeat(100)} ${"e".repeat(99)}; echo > ${"e".repeat(99)}/${"f".repeat(100)}; ln -s ${"t".repeat(101)} ln1; ln -s ${"t".repeat(100)} ln2; ln ${"n".repeat(100)} ${"o".repeat(120)}`,
  "names that sort by bytes": "echo > a.b; mkdir a; echo > a/b; echo > A; echo > 'ä'; echo > 'new\nline'; echo > a-b",
  "symbolic links changed": "rm lib; ln -s ../etc lib; ln -s nowhere dangling",
};
