// Makes the image that comes with Gantry, busybox:latest, from Debian's busybox-static: no registry is needed to run a first
// container. The same binary gives the same bytes. The archive is a docker-archive and an OCI layout at once.
//
//   node tools/busybox-image.ts [OUTPUT [BUSYBOX]]     dist/busybox.tar, /bin/busybox

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { dirname, resolve } from "node:path";
import { type TarFile, writeTar } from "./tar-writer.ts";

const architectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386", ppc64: "ppc64le" };
const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`;
const group = `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
users:x:100:
nogroup:x:65534:
`;
const shadow = `root:*:19000:0:99999:7:::
daemon:*:19000:0:99999:7:::
bin:*:19000:0:99999:7:::
sys:*:19000:0:99999:7:::
mail:*:19000:0:99999:7:::
www-data:*:19000:0:99999:7:::
nobody:*:19000:0:99999:7:::
`;

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function layerOf(busybox: Buffer, applets: readonly string[], mtimeSeconds: number): Buffer {
  const directory = (name: string, mode = 0o755): TarFile => ({ name, type: "directory", mode, mtimeSeconds });
  const file = (name: string, content: string | Buffer, mode: number): TarFile => ({
    name,
    type: "file",
    mode,
    mtimeSeconds,
    content: Buffer.from(content),
  });
  return writeTar([
    directory("bin/"),
    file("bin/busybox", busybox, 0o755),
    ...applets.map(
      (applet): TarFile => ({
        name: `bin/${applet}`,
        type: "hardlink",
        mode: 0o755,
        mtimeSeconds,
        linkName: "bin/busybox",
      }),
    ),
    directory("dev/"),
    directory("etc/"),
    file("etc/group", group, 0o644),
    file("etc/passwd", passwd, 0o644),
    file("etc/shadow", shadow, 0o640),
    directory("home/"),
    directory("proc/"),
    directory("root/", 0o700),
    directory("sys/"),
    directory("tmp/", 0o1777),
    directory("usr/"),
    directory("usr/bin/"),
    { name: "usr/bin/env", type: "symlink", mode: 0o777, mtimeSeconds, linkName: "../../bin/env" },
    directory("usr/sbin/"),
    directory("var/"),
    directory("var/spool/"),
    directory("var/spool/mail/"),
    directory("var/www/"),
  ]);
}

/**
 * The archive's bytes.
 *
 * @param busyboxPath  a static busybox
 * @param architecture in Go's words: amd64, arm64; this host's without it
 */
export function makeBusyboxImage(busyboxPath: string, architecture = architectures[arch()] ?? arch()): Buffer {
  const busybox = readFileSync(busyboxPath);
  // Of the package, so that a rebuild gives the same image.
  const mtimeSeconds = Math.floor(statSync(busyboxPath).mtimeMs / 1000);
  const created = new Date(mtimeSeconds * 1000).toISOString().replace(".000Z", "Z");
  const applets = execFileSync(busyboxPath, ["--list"], { encoding: "utf8" })
    .split("\n")
    .filter((name) => name !== "" && name !== "busybox")
    .sort();
  const layer = layerOf(busybox, applets, mtimeSeconds);
  const config = Buffer.from(
    JSON.stringify({
      created,
      architecture,
      os: "linux",
      config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], Cmd: ["sh"] },
      rootfs: { type: "layers", diff_ids: [`sha256:${sha256(layer)}`] },
      history: [
        { created, created_by: "busybox-static of Debian" },
        { created, created_by: 'CMD ["sh"]', empty_layer: true },
      ],
    }),
  );
  const descriptor = (mediaType: string, bytes: Buffer): Readonly<Record<string, unknown>> => ({
    mediaType: `application/vnd.oci.image.${mediaType}`,
    digest: `sha256:${sha256(bytes)}`,
    size: bytes.length,
  });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: descriptor("config.v1+json", config),
      layers: [descriptor("layer.v1.tar", layer)],
    }),
  );
  const index = {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        ...descriptor("manifest.v1+json", manifest),
        annotations: {
          "io.containerd.image.name": "docker.io/library/busybox:latest",
          "org.opencontainers.image.ref.name": "latest",
        },
      },
    ],
  };
  const dockerManifest = [
    {
      Config: `blobs/sha256/${sha256(config)}`,
      RepoTags: ["busybox:latest"],
      Layers: [`blobs/sha256/${sha256(layer)}`],
    },
  ];
  const file = (name: string, content: Buffer | string): TarFile => ({
    name,
    type: "file",
    mode: 0o644,
    mtimeSeconds,
    content: Buffer.from(content),
  });
  const directory = (name: string): TarFile => ({ name, type: "directory", mode: 0o755, mtimeSeconds });
  return writeTar([
    directory("blobs/"),
    directory("blobs/sha256/"),
    ...[layer, config, manifest].map((bytes) => file(`blobs/sha256/${sha256(bytes)}`, bytes)),
    file("index.json", JSON.stringify(index)),
    file("manifest.json", JSON.stringify(dockerManifest)),
    file("oci-layout", '{"imageLayoutVersion":"1.0.0"}'),
  ]);
}

if (import.meta.main) {
  const output = resolve(process.argv[2] ?? "dist/busybox.tar");
  mkdirSync(dirname(output), { recursive: true });
  writeFileSync(`${output}.part`, makeBusyboxImage(process.argv[3] ?? "/bin/busybox"));
  renameSync(`${output}.part`, output);
}
