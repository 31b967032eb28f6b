import assert from "node:assert/strict";
import { test } from "node:test";
import { renderStartFailure, type RuntimeFailure } from "./shim-failure.ts";

const created = "failed to create task for container: failed to create shim task: OCI runtime create failed: ";

function failure(msg: string, rest: Partial<RuntimeFailure> = {}): RuntimeFailure {
  const log = `${JSON.stringify({ msg: "careful", level: "warning" })}\n${JSON.stringify({ msg, level: "error", time: "x" })}\n`;
  return {
    operation: "create",
    runtime: "crun",
    reason: undefined,
    status: 1,
    log,
    stderr: "",
    command: "/cmd",
    ...rest,
  };
}

test("crun's complaints about a command are given in the words that dockerd gives, with its exit codes", () => {
  const start = `${created}crun create failed: unable to start container process: `;
  const cases: readonly (readonly [string, number, string])[] = [
    [
      "executable file `nope` not found in $PATH: No such file or directory",
      127,
      'exec: "nope": executable file not found in $PATH',
    ],
    [
      "executable file `/nope` not found in $PATH: No such file or directory",
      127,
      'exec: "/nope": stat /nope: no such file or directory',
    ],
    ["open executable: Permission denied", 126, 'exec: "/cmd": permission denied'],
    ["open executable: Operation not permitted", 126, 'exec: "/cmd": permission denied'],
    ["open executable: Not a directory", 127, 'exec: "/cmd": stat /cmd: not a directory'],
    ["exec container process `/x`: Exec format error", 126, 'exec: "/x": exec format error'],
    [
      "chdir `/etc/passwd`: Not a directory",
      127,
      'chdir to cwd ("/etc/passwd") set in config.json failed: not a directory',
    ],
    [
      "mount `/etc/passwd` to `bin`: Not a directory",
      127,
      'error during container init: error mounting "/etc/passwd" to rootfs at "/bin": mount /etc/passwd:/bin: not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type',
    ],
    [
      "mount `tmpfs` to `a: b`: Invalid argument",
      128,
      'error during container init: error mounting "tmpfs" to rootfs at "/a: b": mount tmpfs:/a: b: invalid argument',
    ],
    [
      "open /proc/sys/net/foo: No such file or directory",
      127,
      "error during container init: open /proc/sys/net/foo: no such file or directory",
    ],
  ];
  for (const [msg, exitCode, text] of cases)
    assert.deepEqual(renderStartFailure(failure(msg)), { exitCode, message: start + text }, msg);
});

test("an empty command is not found", () => {
  const { exitCode, message } = renderStartFailure(
    failure("open executable: Operation not permitted", { command: "" }),
  );
  assert.deepEqual([exitCode, message.slice(-43)], [127, 'exec: "": executable file not found in $PATH'.slice(-43)]);
});

test("runc's messages already are dockerd's, but for the step", () => {
  const rest = 'unable to start container process: exec: "nope": executable file not found in $PATH';
  assert.deepEqual(renderStartFailure(failure(`runc run failed: ${rest}`, { runtime: "runc" })), {
    exitCode: 127,
    message: `${created}runc create failed: ${rest}`,
  });
});

test("an exec's failure has the exec's prefix", () => {
  assert.deepEqual(
    renderStartFailure(
      failure("executable file `nope` not found in $PATH: No such file or directory", { operation: "exec" }),
    ),
    {
      exitCode: 127,
      message:
        'OCI runtime exec failed: exec failed: unable to start container process: exec: "nope": executable file not found in $PATH',
    },
  );
});

test("any other failure is 128 with the runtime's last error, else its stderr, else its status", () => {
  const message = (rest: Partial<RuntimeFailure>): string => renderStartFailure(failure("x", rest)).message;
  assert.deepEqual(renderStartFailure(failure("mount `proc` failed")), {
    exitCode: 128,
    message: `${created}crun: mount \`proc\` failed`,
  });
  assert.equal(message({ log: "not JSON\n" }), `${created}crun: not JSON`);
  assert.equal(message({ log: "", stderr: "cannot load library\n" }), `${created}crun: cannot load library`);
  assert.equal(message({ log: "", status: 137 }), `${created}crun ended with status 137 and said nothing`);
});

test("a runtime that cannot be executed is not the command's fault", () => {
  assert.deepEqual(renderStartFailure(failure("", { reason: "execute /opt/crun: No such file or directory" })), {
    exitCode: 128,
    message: `${created}unable to start the runtime: execute /opt/crun: No such file or directory`,
  });
});
