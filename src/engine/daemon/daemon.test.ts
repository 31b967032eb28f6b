import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { renderLogLine } from "../../base/log.ts";
import { createLogger } from "./logger.ts";
import { groupId, passedDescriptors } from "./listeners.ts";
import { parseOsRelease } from "./os-release.ts";
import { checkPermissions } from "./permissions.ts";
import { writePidFile } from "./pid-file.ts";
import { findProgram, parseRuntimeVersion } from "./runtime-versions.ts";

const dir = mkdtempSync(join(tmpdir(), "gantry-daemon-"));
after(() => rmSync(dir, { recursive: true }));

test("a log line is one line, whatever is in it", () => {
  assert.equal(
    renderLogLine("text", "info", "T", 'a "b"\nc', { id: "x1", why: "a b\n", n: 3, none: undefined }),
    'time=T level=info msg="a \\"b\\"\\nc" id=x1 why="a b\\n" n=3',
  );
  assert.deepEqual(JSON.parse(renderLogLine("json", "warn", "T", "m\n", { level: "fake", k: 1 })), {
    k: 1,
    level: "warn",
    msg: "m\n",
    time: "T",
  });
});

test("the level can change while the daemon runs", () => {
  const lines: string[] = [];
  const logger = createLogger("text", "info", (line) => lines.push(line));
  logger.debug("a");
  logger.setLevel("debug");
  logger.debug("b");
  logger.setLevel("error");
  logger.warn("c");
  assert.deepEqual(
    lines.map((line) => /msg="(\w)"/.exec(line)?.[1]),
    ["b"],
  );
});

test("os-release is read in all its quotings", () => {
  const values = parseOsRelease('PRETTY_NAME="A \\"B\\" \\$x"\nID=debian\nVERSION_ID=\'12\'\n# c\nbad line\n');
  assert.deepEqual(
    [...values],
    [
      ["PRETTY_NAME", 'A "B" $x'],
      ["ID", "debian"],
      ["VERSION_ID", "12"],
    ],
  );
});

test("versions of runtimes are read", () => {
  const crun = parseRuntimeVersion("crun version 1.8.1\ncommit: f8a096be\nrundir: /run\nspec: 1.0.0\n");
  assert.deepEqual(crun, { kind: "crun", version: "1.8.1", commit: "f8a096be" });
  const runc = parseRuntimeVersion("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev\n");
  assert.deepEqual(runc, { kind: "runc", version: "1.1.5+ds1", commit: "1.1.5+ds1-1+deb12u1" });
  assert.deepEqual(parseRuntimeVersion("hello"), { kind: "other", version: "", commit: "" });
});

test("a program is found in PATH, absolutely, or not at all", () => {
  const file = join(dir, "tool");
  writeFileSync(file, "#!/bin/sh\n");
  assert.equal(findProgram("tool", dir), undefined);
  chmodSync(file, 0o755);
  assert.equal(findProgram("tool", `relative:${dir}`), file);
  assert.equal(findProgram(file, ""), file);
  assert.equal(findProgram("no-such-tool", dir), undefined);
});

test("descriptors count only for the process that they were passed to", () => {
  assert.deepEqual(passedDescriptors({ LISTEN_PID: "7", LISTEN_FDS: "2" }, 7), [3, 4]);
  assert.deepEqual(passedDescriptors({ LISTEN_PID: "8", LISTEN_FDS: "2" }, 7), []);
  assert.deepEqual(passedDescriptors({}, 7), []);
});

test("a group is found by name or number", () => {
  const file = "root:x:0:\ndocker:x:998:a,b\n";
  assert.deepEqual([groupId("docker", file), groupId("12", file), groupId("nope", file)], [998, 12, undefined]);
});

test("a pid file of a dead process, or of another program, is taken over; and removed only by its owner", () => {
  const path = join(dir, "x.pid");
  writeFileSync(path, "1\n");
  const remove = writePidFile(path);
  assert.equal(readFileSync(path, "utf8"), `${process.pid}\n`);
  writeFileSync(path, "1\n");
  remove();
  assert.equal(readFileSync(path, "utf8"), "1\n");
});

test("modes that are too wide are found and mended; a wrong type is only found", () => {
  const file = join(dir, "secret");
  writeFileSync(file, "");
  chmodSync(file, 0o644);
  const entry = { path: file, kind: "file", mode: 0o600, optional: false } as const;
  const uid = process.getuid?.() ?? 0;
  const owner = uid === 0 ? [] : [{ invariant: "F20", subject: file, detail: `belongs to uid ${uid}, not to root` }];
  const bare = (repair: boolean): readonly object[] =>
    checkPermissions([entry], repair && uid === 0).map(({ invariant, subject, detail }) => ({
      invariant,
      subject,
      detail,
    }));
  const wide = { invariant: "F20", subject: file, detail: "has mode 644; at most 600 is right" };
  assert.deepEqual(bare(true), [wide, ...owner]);
  if (uid === 0) assert.deepEqual(bare(false), []);
  const link = join(dir, "link");
  symlinkSync(file, link);
  assert.equal(checkPermissions([{ ...entry, path: link }], true)[0]?.detail, "is something else, not a file");
  assert.equal(checkPermissions([{ ...entry, path: join(dir, "gone") }], true)[0]?.detail, "is missing");
  assert.deepEqual(checkPermissions([{ ...entry, path: join(dir, "gone"), optional: true }], true), []);
});
