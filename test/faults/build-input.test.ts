// Bad input through POST /build and through `gantry build`: an error that says what and where, nothing half-done, and the next
// build works.

import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { classicBuild, contextOf } from "../support/build-requests.ts";
import { cliArgv } from "../support/cli.ts";
import { type CommandResult, runCommand, startDaemon, type TestDaemon } from "../support/daemon.ts";
import { directory, file, member, type RawMember, symlink, tarOf } from "../support/tar.ts";

interface BadCase {
  readonly dockerfile: string;
  readonly says: RegExp;
  /** What `gantry build` shows of the Dockerfile; undefined where no line is at fault. */
  readonly marks?: RegExp;
  readonly files?: readonly RawMember[];
}

const dockerfiles: Readonly<Record<string, BadCase>> = {
  "an unknown instruction": {
    dockerfile: "FROM busybox\n\nRUNN true\n",
    says: /unknown instruction: RUNN/,
    marks: /Dockerfile:3/,
  },
  "an unknown flag": {
    dockerfile: "FROM busybox\nCOPY --chwon=1 a b\n",
    says: /unknown flag: --?chwon/,
    marks: /Dockerfile:2/,
  },
  "an unterminated heredoc": {
    dockerfile: "FROM busybox\nRUN <<EOF\ntrue\n",
    says: /unterminated heredoc/,
    marks: /Dockerfile:[23]/,
  },
  "unterminated quotes": {
    dockerfile: 'FROM busybox\nENV a="b\n',
    says: /unexpected end of statement while looking for matching double-quote/,
    marks: /Dockerfile:2/,
  },
  "stages in a circle": {
    dockerfile: "FROM busybox AS a\nCOPY --from=b /x /\nFROM a AS b\nCOPY --from=a /x /\n",
    says: /circular dependency/,
    marks: /Dockerfile:[1-4]/,
  },
  "a missing stage": {
    dockerfile: "FROM busybox\nCOPY --from=5 /x /y\n",
    says: /invalid stage index 5/,
    marks: /Dockerfile:2/,
  },
  "a missing file": {
    dockerfile: "FROM busybox\nRUN true\nCOPY nothing /y\n",
    says: /nothing.*(?:not found|does not exist)/,
    marks: /Dockerfile:3/,
  },
  "a missing secret": {
    dockerfile: "FROM busybox\nRUN --mount=type=secret,id=gone,required cat /run/secrets/gone\n",
    says: /secret gone: not found/,
    marks: /Dockerfile:2/,
  },
  "a COPY that a link leads out of the context": {
    dockerfile: "FROM busybox\nCOPY out/passwd /stolen\n",
    files: [symlink("out", "../../../../../../../../etc")],
    says: /out\/passwd.*(?:not found|does not exist)/,
    marks: /Dockerfile:2/,
  },
  "a COPY with dots": {
    dockerfile: "FROM busybox\nCOPY ../../../../../../etc/passwd /stolen\n",
    says: /etc\/passwd.*(?:not found|does not exist)/,
    marks: /Dockerfile:2/,
  },
  "a git URL with an option in it": {
    dockerfile: "FROM busybox\nADD https://127.0.0.1:1/x.git#--upload-pack=touch /x\n",
    says: /upload-pack|ref/,
    marks: /Dockerfile:2/,
  },
};

let daemon: TestDaemon;
const scratch = mkdtempSync(join(tmpdir(), "gantry-build-input-"));

before(async () => {
  daemon = await startDaemon();
});
after(async () => {
  rmSync(scratch, { recursive: true });
  await daemon[Symbol.asyncDispose]();
});

/** The same as a directory on disk. */
function onDisk(dockerfile: string, files: readonly RawMember[] = []): string {
  const context = mkdtempSync(join(scratch, "context-"));
  writeFileSync(join(context, "Dockerfile"), dockerfile);
  for (const { name, type, link, data } of files) {
    mkdirSync(dirname(join(context, name)), { recursive: true });
    if (type === "2") symlinkSync(link ?? "", join(context, name));
    else writeFileSync(join(context, name), data ?? "");
  }
  return context;
}

function gantry(...args: readonly string[]): Promise<CommandResult> {
  return runCommand([...cliArgv(), "-H", `unix://${daemon.socket}`, "build", "--progress", "plain", ...args]);
}

async function images(): Promise<readonly string[]> {
  const { json } = await daemon.api("GET", "/images/json?all=1");
  return (json as readonly { readonly Id: string; readonly RepoTags: readonly string[] }[])
    .map(({ Id, RepoTags }) => `${Id} ${RepoTags.join()}`)
    .sort();
}

async function nothingIsLeft(): Promise<void> {
  const look = (): readonly string[] =>
    [join(daemon.dataRoot, "tmp"), join(daemon.dataRoot, "build/steps"), join(daemon.execRoot, "steps")].flatMap(
      (path) => (existsSync(path) ? readdirSync(path).map((name) => join(path, name)) : []),
    );
  const deadline = performance.now() + 5_000;
  while (look().length > 0 && performance.now() < deadline) await sleep(20);
  assert.deepEqual(look(), []);
}

async function nextBuildWorks(): Promise<void> {
  const next = await classicBuild(daemon, "", contextOf("FROM busybox\nCOPY a /a\nRUN cat /a\n", file("a", "a")));
  assert.equal(next.error, undefined);
}

describe("a bad Dockerfile", () => {
  for (const [name, { dockerfile, says, marks, files }] of Object.entries(dockerfiles))
    test(`${name}: both doors say so, and nothing is made`, async () => {
      await nextBuildWorks();
      const before = await images();
      const classic = await classicBuild(daemon, "t=bad:1", contextOf(dockerfile, ...(files ?? [])));
      assert.match(classic.error ?? "no error", says);
      if (marks !== undefined)
        assert.match(
          `${classic.said}${classic.error}`,
          /line \d+|Step \d\/\d : .*\n[^]*?$/,
          "the classic door says where",
        );
      const ours = await gantry("-t", "bad:1", onDisk(dockerfile, files));
      assert.equal(ours.code, 1, ours.stderr);
      assert.match(ours.stderr, says);
      if (marks !== undefined) assert.match(ours.stderr, marks);
      assert.deepEqual(await images(), before);
      await nothingIsLeft();
      await nextBuildWorks();
    });
});

describe("a bad context", () => {
  test("a Dockerfile that is a link out of the context is not read", async () => {
    const secret = join(scratch, "outside");
    writeFileSync(secret, "FROM busybox\nRUN echo outside-was-read\n");
    const classic = await classicBuild(daemon, "", tarOf(symlink("Dockerfile", secret)));
    assert.match(classic.error ?? "no error", /Dockerfile/);
    assert.doesNotMatch(classic.said, /outside-was-read/);
    await nothingIsLeft();
    await nextBuildWorks();
  });

  test("sockets, devices and FIFOs are copied as what they are, or refused by name", async () => {
    const special = [
      member({ name: "null", type: "3", devMajor: 1, devMinor: 3 }),
      member({ name: "fifo", type: "6" }),
    ] as const;
    const made = await classicBuild(
      daemon,
      "",
      contextOf("FROM busybox\nCOPY . /c/\nRUN test ! -f /c/null\n", ...special),
    );
    assert.match(made.error ?? "done", /done|null|fifo/);
    const context = onDisk("FROM busybox\nCOPY . /c/\nRUN ls -l /c\n", [file("a", "a")]);
    const listener = createServer().listen(join(context, "socket"));
    const fifo = await runCommand(["mkfifo", join(context, "fifo")]);
    const node = await runCommand(["mknod", join(context, "null"), "c", "1", "3"]);
    assert.deepEqual([fifo.code, node.code], [0, 0]);
    const ours = await gantry(context);
    listener.close();
    assert.equal(ours.code, 0, ours.stderr);
    await nothingIsLeft();
    await nextBuildWorks();
  });

  for (const [name, evil] of Object.entries({
    "a name with dots": file("../../escaped", "x"),
    "a file through a link": [symlink("l", scratch), file("l/escaped", "x")],
    "a hard link to the outside": { name: "h", type: "1", link: "../../../../etc/passwd" },
  } satisfies Record<string, RawMember | readonly RawMember[]>))
    test(`${name} in the tar does not lead out`, async () => {
      const members = [evil].flat();
      const answer = await classicBuild(daemon, "", contextOf("FROM busybox\nCOPY . /c/\n", ...members));
      assert.ok(!existsSync(join(scratch, "escaped")));
      assert.ok(!existsSync(join(daemon.dataRoot, "escaped")) && !existsSync(join(daemon.dir, "escaped")));
      assert.match(answer.error ?? "no error", /contains ".."|is not a directory, but a member lies in it/);
      await nothingIsLeft();
      await nextBuildWorks();
    });

  test("what is no tar, half a tar, and nothing at all are refused", async () => {
    const whole = contextOf("FROM busybox\nCOPY a /a\n", file("a", "a".repeat(5000)));
    for (const body of [Buffer.from("no tar".repeat(200)), whole.subarray(0, 3000), gzipSync(whole).subarray(0, 60)]) {
      const answer = await classicBuild(daemon, "", body);
      assert.notEqual(answer.error, undefined);
    }
    await nothingIsLeft();
    await nextBuildWorks();
  });

  test("100,000 files are no error", { timeout: 180_000 }, async () => {
    const many = Buffer.concat(Array.from({ length: 100_000 }, (_, n) => member(file(`many/${n % 100}/${n}`, ""))));
    const folders = Array.from({ length: 100 }, (_, n) => directory(`many/${n}`));
    const answer = await classicBuild(
      daemon,
      "",
      contextOf("FROM busybox\nCOPY Dockerfile /d\n", directory("many"), ...folders, many),
    );
    assert.equal(answer.error, undefined);
    await nothingIsLeft();
  });

  test("a gzip bomb is refused long before it fills the disk", { timeout: 60_000 }, async () => {
    const answer = await classicBuild(daemon, "", bomb(7 * 1024));
    assert.match(answer.error ?? "no error", /compress|larger|bomb|times/i);
    await nothingIsLeft();
    await nextBuildWorks();
  });

  test("a gzip bomb in ADD is refused with its line", { timeout: 60_000 }, async () => {
    const packed = bomb(7 * 1024);
    const answer = await classicBuild(
      daemon,
      "",
      contextOf("FROM busybox\nADD b.tar.gz /b\n", file("b.tar.gz", packed)),
    );
    assert.match(answer.error ?? "no error", /compress|larger|bomb|times/i);
    assert.match(answer.said, /Step 2\/2 : ADD/);
    await nothingIsLeft();
    await nextBuildWorks();
  });
});

test("a remote context with an option in it is refused", async () => {
  for (const remote of ["--upload-pack=touch /x", "git@127.0.0.1:--x/y.git#--x", "ext::sh -c true"]) {
    const answer = await classicBuild(daemon, `remote=${encodeURIComponent(remote)}`, new Uint8Array(0));
    assert.notEqual(answer.error, undefined, remote);
  }
  await nothingIsLeft();
  await nextBuildWorks();
});

test("a registry that dies during FROM is an error with the line, and soon", { timeout: 60_000 }, async () => {
  const probe = await daemon.inNamespace([
    process.execPath,
    "-e",
    "require('net').createServer((s)=>s.once('data',()=>s.destroy())).listen(0,'127.0.0.1',function(){console.log(this.address().port);setTimeout(()=>process.exit(),1)})",
  ]);
  const port = probe.stdout.trim();
  const answer = await classicBuild(daemon, "", contextOf(`ARG A\nFROM 127.0.0.1:${port}/gone:1\n`));
  assert.match(answer.error ?? "no error", new RegExp(`127\\.0\\.0\\.1:${port}/gone:1`));
  assert.match(answer.said, /Step 2\/2 : FROM 127/);
  await nothingIsLeft();
  await nextBuildWorks();
});

/** A tar with one file of so many MiB of zeros, compressed; gzip's members are concatenated. */
function bomb(mebibytes: number): Buffer {
  const header = member({ name: "zeros", size: mebibytes * (1 << 20) }).subarray(0, 512);
  const zeros = gzipSync(Buffer.alloc(16 << 20), { level: 9 });
  return Buffer.concat([gzipSync(header), ...Array.from({ length: mebibytes / 16 }, () => zeros)]);
}
