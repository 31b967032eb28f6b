import assert from "node:assert/strict";
import { test } from "node:test";
import type { HostConfig } from "../../spec/docker/container.ts";
import { planMounts } from "./mounts.ts";
import { type PlannedMount, renderMount } from "./planned-mount.ts";
import { inheritMounts, parseVolumesFrom } from "./volumes-from.ts";

const plan = (hostConfig: HostConfig): ReturnType<typeof planMounts> =>
  planMounts({ hostConfig, recursiveReadOnly: true });
const oci = (mount: PlannedMount): ReturnType<typeof renderMount> => renderMount({ mount, source: mount.kind }, true);
/** What is mounted where, with its origin. */
const shape = (mounts: readonly PlannedMount[]): unknown =>
  mounts.map((mount) => [mount.destination, mount.origin, mount.kind === "volume" ? mount.name : mount.kind]);
test("what others have is taken over, and gives way to what is asked for; an image's volumes come last", () => {
  const others = plan({
    Binds: ["data:/data:ro", "/srv:/srv:rslave", "kept:/kept"],
    Mounts: [
      { Type: "tmpfs", Target: "/tmp" },
      { Type: "image", Source: "tools", Target: "/tools", ImageOptions: { Subpath: "bin" } },
    ],
    Tmpfs: { "/own": "" },
  }).mounts;
  const inherited = inheritMounts(others, false);
  const hostConfig: HostConfig = { Binds: ["mine:/data"], Tmpfs: { "/tmp": "" } };
  const volumes = { "/kept": {}, "/data": {}, "/new": {} };
  const { mounts, errors } = planMounts({ hostConfig, volumes, inherited, recursiveReadOnly: true });
  assert.deepEqual(errors, []);
  assert.deepEqual(shape(mounts), [
    ["/data", "Binds", "mine"],
    ["/srv", "VolumesFrom", "bind"],
    ["/kept", "VolumesFrom", "kept"],
    ["/tmp", "Tmpfs", "tmpfs"],
    ["/tools", "VolumesFrom", "image"],
    ["/new", "Volumes", ""],
  ]);
  assert.deepEqual(
    mounts.filter(({ origin }) => origin === "VolumesFrom").map((mount) => oci(mount).options),
    [
      ["rbind", "rslave"],
      ["rbind", "rprivate"],
      ["rbind", "rro", "rprivate"],
    ],
  );
  const readOnly = inheritMounts(others, true);
  assert.deepEqual(
    readOnly.map((mount) => [mount.readOnly, "copy" in mount && mount.copy]),
    [
      [true, false],
      [true, false],
      [true, false],
      [true, false],
      [true, false],
    ],
  );
  assert.equal(
    readOnly.some((mount) => mount.kind === "tmpfs" && mount.options.includes("ro")),
    true,
  );
});

test("two containers with one destination: the later one counts", () => {
  const of = (bind: string): readonly PlannedMount[] => inheritMounts(plan({ Binds: [bind] }).mounts, false);
  const { mounts } = planMounts({
    hostConfig: {},
    inherited: [...of("first:/x"), ...of("second:/x")],
    recursiveReadOnly: true,
  });
  assert.deepEqual(shape(mounts), [["/x", "VolumesFrom", "second"]]);
});

test("specifications of VolumesFrom", () => {
  const parsed = (text: string): unknown => {
    try {
      return parseVolumesFrom(text);
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.deepEqual(
    ["db", "db:ro", "db:rw", "db:cached", "", "db:foo", "a:b:c", "db:nocopy", "db:rshared"].map(parsed),
    [
      { container: "db", readOnly: false },
      { container: "db", readOnly: true },
      { container: "db", readOnly: false },
      { container: "db", readOnly: false },
      "volumes-from specification cannot be an empty string",
      "invalid mode: foo",
      "invalid mode: b:c",
      "invalid mode: nocopy",
      "invalid mode: rshared",
    ],
  );
});
