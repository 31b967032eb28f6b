// The CLI behind a pseudo-terminal: raw mode and its restoration, sizes, detaching. The engine is gantryd (or
// GANTRY_TEST_HOST's).

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type CliBench, startBench, type TerminalSession } from "../support/cli.ts";

let bench: CliBench;
before(async () => {
  bench = await startBench();
});
after(async () => {
  await bench[Symbol.asyncDispose]();
});

function isRaw(settings: string): boolean {
  return ["-icanon", "-echo", "-isig", "-opost", "-icrnl"].every(
    (word) => settings.includes(` ${word}`) || settings.includes(`\n${word}`),
  );
}

/** What follows the container's end: the code, then the terminal's settings. */
const aftermath = 'echo "code=$?"; stty -a | tr "\\n" " "; echo; echo over';

async function assertRestored(session: TerminalSession): Promise<void> {
  await session.waitFor(/over\r\n/);
  await session.end();
  const settings = /code=\d+\r\n(.*)\r\nover/s.exec(session.output)?.[1] ?? "";
  for (const word of ["icanon", "echo", "isig", "opost", "icrnl"])
    assert.match(settings, new RegExp(`[ ;]${word}\\b`), `${word} in ${JSON.stringify(session.output)}`);
}

test("run -it is raw, has the terminal's size from the start and follows it, and restores the terminal", async () => {
  const session = bench.terminal(`gantry run --rm -it busybox sh; ${aftermath}`);
  await session.waitFor(/[#$] /);
  assert.ok(isRaw(await session.stty("-a")), await session.stty("-a"));
  session.type("stty size\r");
  await session.waitFor(/30 100\r\n/);
  await session.stty("rows", "44", "cols", "133");
  // The size travels by itself; the shell is asked until it has it.
  for (let n = 0; n < 60 && !session.output.includes("44 133\r\n"); n++) {
    session.type("stty size\r");
    await sleep(300);
  }
  await session.waitFor(/44 133\r\n/);
  assert.doesNotMatch(session.output, /\r\r\n/, "output is processed once, by the container's terminal");
  session.type("exit 3\r");
  await session.waitFor(/code=3\r\n/);
  await assertRestored(session);
});

test("ctrl-c goes to the container's process, not to the CLI", async () => {
  const session = bench.terminal(
    `gantry run --rm -it busybox sh -c 'trap "echo caught; exit 4" INT; echo ready; while :; do sleep 0.1; done'; ${aftermath}`,
  );
  await session.waitFor(/ready\r\n/);
  session.type("\x03");
  await session.waitFor(/caught\r\n/);
  await session.waitFor(/code=4\r\n/);
  await assertRestored(session);
});

test("the detach keys leave the container running; attach comes back with keys of one's own", async () => {
  try {
    const session = bench.terminal(`gantry run -it --name cli-detach busybox sh; ${aftermath}`);
    await session.waitFor(/[#$] /);
    session.type("\x10\x11");
    await session.waitFor(/code=0\r\n/);
    await assertRestored(session);
    const state = await bench.gantry(["inspect", "-f", "{{.State.Running}}", "cli-detach"]);
    assert.equal(state.stdout, "true\n");
    const again = bench.terminal(`gantry attach --detach-keys ctrl-x,x cli-detach; ${aftermath}`);
    await again.tty();
    for (let n = 0; n < 100 && !isRaw(await again.stty("-a")); n++) await sleep(100);
    again.type("echo hel''lo\r");
    await again.waitFor(/hello\r\n/);
    again.type("\x18x");
    await again.waitFor(/read escape sequence/);
    await assertRestored(again);
    assert.equal((await bench.gantry(["inspect", "-f", "{{.State.Running}}", "cli-detach"])).stdout, "true\n");
  } finally {
    await bench.gantry(["rm", "-f", "cli-detach"]);
  }
});

test("exec -it has a terminal of its size and gives its exit code", async () => {
  try {
    await bench.gantry(["run", "-d", "--name", "cli-exec-tty", "busybox", "sleep", "1000"]);
    const session = bench.terminal(
      `gantry exec -it cli-exec-tty sh -c 'sleep 0.3; stty size; read x; exit $x'; ${aftermath}`,
    );
    await session.waitFor(/30 100\r\n/);
    session.type("11\r");
    await session.waitFor(/code=11\r\n/);
    await assertRestored(session);
  } finally {
    await bench.gantry(["rm", "-f", "cli-exec-tty"]);
  }
});

test("a CLI that is terminated restores the terminal", async () => {
  for (const signal of ["HUP", "TERM"]) {
    const name = `cli-ended-${signal.toLowerCase()}`;
    try {
      await bench.gantry(["run", "-d", "-it", "--name", name, "busybox", "sh"]);
      const session = bench.terminal(`sh -c 'echo pid=$$; exec "$@"' sh $GANTRY_CLI attach ${name}; ${aftermath}`);
      await session.waitFor(/pid=\d+\r\n/);
      const deadline = performance.now() + 10_000;
      while (!isRaw(await session.stty("-a")) && performance.now() < deadline) await sleep(50);
      assert.ok(isRaw(await session.stty("-a")));
      process.kill(Number(/pid=(\d+)/.exec(session.output)?.[1]), `SIG${signal}`);
      await assertRestored(session);
    } finally {
      await bench.gantry(["rm", "-f", name]);
    }
  }
});

test("a container's terminal needs one here", async () => {
  const { code, stderr } = await bench.gantry(["run", "--rm", "-it", "busybox", "true"]);
  assert.deepEqual([code, stderr], [1, "the input device is not a TTY\n"]);
});
