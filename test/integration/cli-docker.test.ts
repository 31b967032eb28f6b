// What the CLI prints, byte for byte beside the docker CLI on the same socket. Skipped where there is no docker CLI; the
// recordings in src/apps/cli/testdata cover requests and complaints without one.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { asGantry, type CliBench, hasDockerCli, startBench } from "../support/cli.ts";

const skip = hasDockerCli() ? false : "no docker CLI 28 or newer on PATH to compare with";

let bench: CliBench;
before(async () => {
  if (skip !== false) return;
  bench = await startBench();
  const label = ["-l", "a=b", "-l", "x.y-z=1"];
  await bench.gantry([
    "run",
    "--name",
    "cmp-done",
    "-e",
    "A=1",
    ...label,
    "busybox",
    "sh",
    "-c",
    "echo one; echo two >&2; exit 7",
  ]);
  await bench.gantry(["run", "-d", "--name", "cmp-up", "-v", "/tmp:/mnt:ro", "busybox", "sleep", "1000"]);
  await bench.gantry(["create", "--name", "cmp-new", "busybox", "a command that is longer than the column"]);
});
after(async () => {
  if (skip !== false) return;
  await bench.gantry(["rm", "-f", "cmp-done", "cmp-up", "cmp-new"]);
  await bench[Symbol.asyncDispose]();
});

const filter = ["-f", "name=cmp-"];
const lines: readonly (readonly string[])[] = [
  ["ps", ...filter, "--format", "table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.Ports}}\\t{{.Names}}"],
  [
    "ps",
    "-a",
    ...filter,
    "--format",
    "table {{.Names}}\\t{{.State}}\\t{{.Labels}}\\t{{.Mounts}}\\t{{.Networks}}\\t{{.CreatedAt}}",
  ],
  ["ps", "-aq", ...filter],
  ["ps", "-aq", "--no-trunc", ...filter],
  ["ps", "-a", "--no-trunc", ...filter, "--format", "{{.ID}} {{.Command}}"],
  ["ps", "-as", ...filter, "--format", "{{.Names}} {{.Size}}"],
  [
    "ps",
    "-a",
    ...filter,
    "--format",
    '{{.Names}} {{.Label "a"}} {{json .Labels}} {{upper .State}} {{printf "%-12s|" .Names}}',
  ],
  [
    "ps",
    "-a",
    ...filter,
    "--format",
    "{{if eq .State `exited`}}done{{else}}{{range split .Names `-`}}<{{.}}>{{end}}{{end}}",
  ],
  ["ps", "-a", "-f", "name=cmp-done", "--format", "{{.ID"],
  ["ps", "-a", "-f", "name=cmp-done", "--format", "{{.Foo}}"],
  ["ps", "-a", "-f", "name=cmp-done", "--format", "{{foo .}}"],
  ["ps", "-f", "bogus=1"],
  ["ps", "-f", "name=no-such"],
  ["container", "ls", "-aq", "-f", "status=exited", ...filter],
  ["images", "-q", "busybox"],
  [
    "images",
    "busybox",
    "--format",
    "table {{.Repository}}\\t{{.Tag}}\\t{{.ID}}\\t{{.Size}}\\t{{.CreatedAt}}\\t{{.Digest}}",
  ],
  ["images", "--no-trunc", "busybox", "--format", "{{.ID}} {{.VirtualSize}}"],
  ["network", "ls"],
  ["network", "ls", "--no-trunc", "--format", "json"],
  ["network", "inspect", "bridge", "nope", "host"],
  ["network", "inspect", "-f", "{{.Name}} {{range .IPAM.Config}}{{.Subnet}}{{end}} {{json .Options}}", "bridge"],
  ["inspect", "cmp-done", "cmp-up"],
  ["inspect", "-s", "cmp-done"],
  ["inspect", "-f", "json", "cmp-done"],
  ["inspect", "-f", "{{json .Config}} {{.Config.Env}} {{.Config.Labels}} {{.State.ExitCode}} {{.Name}}", "cmp-done"],
  [
    "inspect",
    "-f",
    "{{.State.Health}} {{if .State.Health}}a{{else}}b{{end}} {{.HostConfig.Binds}}",
    "cmp-done",
    "cmp-up",
  ],
  ["inspect", "-f", "{{range .Mounts}}{{.Source}}->{{.Destination}} {{.RW}}{{end}}", "cmp-up"],
  ["inspect", "-f", "{{.State.Foo}}", "cmp-up"],
  ["inspect", "-f", "{{foo}}", "cmp-up"],
  ["inspect", "busybox"],
  ["inspect", "nope", "cmp-up"],
  ["inspect", "--type", "image", "cmp-up"],
  ["container", "inspect", "nope"],
  ["image", "inspect", "busybox"],
  ["image", "inspect", "nope"],
  ["history", "--format", "{{.ID}} {{.CreatedAt}} {{.CreatedBy}} {{.Size}} {{.Comment}}", "busybox"],
  ["history", "-H=false", "--no-trunc", "busybox"],
  ["logs", "cmp-done"],
  ["logs", "-n", "1", "cmp-done"],
  ["logs", "-t", "cmp-done"],
  ["logs", "nope"],
  ["top", "cmp-up", "-o", "pid,comm"],
  ["top", "cmp-done"],
  ["port", "cmp-up"],
  ["port", "cmp-up", "81"],
  ["version", "-f", "{{.Server.Version}} {{range .Server.Components}}{{.Name}} {{.Version}};{{end}}"],
  ["version", "-f", "{{json .Server}}"],
  ["version", "-f", "{{.Foo}}"],
  ["info", "-f", "{{.ServerVersion}} {{.NCPU}} {{.Plugins.Log}} {{json .Runtimes}}"],
  ["info", "-f", "{{.Foo}}"],
  ["events", "--since", "2026-01-01", "--until", "1s", "-f", "container=cmp-done"],
  ["events", "--since", "2026-01-01", "--until", "1s", "-f", "container=cmp-done", "--format", "json"],
  [
    "events",
    "--since",
    "2026-01-01",
    "--until",
    "1s",
    "-f",
    "container=cmp-done",
    "--format",
    "{{.TimeNano}} {{.Action}} {{.Actor.Attributes.name}}",
  ],
  ["rm", "nope", "nope2"],
  ["rm", "-f", "nope"],
  ["rmi", "nope"],
  ["stop", "nope"],
  ["kill", "-s", "FOO", "cmp-up"],
  ["kill", "cmp-done"],
  ["pause", "cmp-done"],
  ["wait", "cmp-done"],
  ["wait", "nope"],
  ["rename", "nope", "x"],
  ["rename", "cmp-done", "cmp-up"],
  ["start", "nope"],
  ["start", "cmp-up", "nope"],
  ["attach", "cmp-done"],
  ["exec", "nope", "ls"],
  ["exec", "cmp-done", "ls"],
  ["exec", "cmp-up", "sh", "-c", "echo a; echo b >&2; exit 3"],
  ["run", "--rm", "busybox", "sh", "-c", "echo a; exit 4"],
  ["run", "--name", "cmp-up", "busybox", "true"],
  ["tag", "nope", "b2"],
  ["import", "/nope"],
  ["container", "prune", "-f", "--filter", "label=no-such"],
  ["foo"],
  ["network", "ls", "x"],
];

for (const argv of lines)
  test(`prints what docker prints: ${argv.join(" ")}`, { skip }, async () => {
    const docker = await bench.docker(argv);
    const gantry = await bench.gantry(argv);
    assert.equal(gantry.stdout, docker.stdout);
    assert.equal(gantry.stderr, asGantry(docker.stderr));
    assert.equal(gantry.code, docker.code);
  });
