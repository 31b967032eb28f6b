// Where Gantry answers otherwise than dockerd about volumes, mounts and files, by reason. What is said in a step itself is not here.

import type { Step } from "./client.ts";

interface Difference {
  readonly why: string;
  /** By the name of the step; a message that is not given is dockerd's. */
  readonly answers: Readonly<Record<string, Omit<NonNullable<Step["ours"]>, "why">>>;
}

const differences: readonly Difference[] = [
  {
    why: "the volume has a name",
    answers: {
      'inspect of one with {"HostConfig":{"Binds":["/t"]}}': {
        status: 200,
        value: {
          points: [
            {
              Source: "<root>/volumes/<id>/_data",
              Type: "volume",
              Name: "<id>",
              Destination: "/t",
              Driver: "local",
              Mode: "z",
              RW: true,
              Propagation: "",
            },
          ],
          Binds: ["/t"],
          VolumesFrom: null,
          VolumeDriver: "",
          Volumes: null,
        },
      },
    },
  },
  {
    why: "a target is an absolute path",
    answers: {
      'inspect of one with {"Volumes":{"named:/v":{}}}': {
        status: 200,
        value: {
          points: [
            {
              Source: "<root>/volumes/<id>/_data",
              Type: "volume",
              Name: "<id>",
              Destination: "/named:/v",
              Driver: "local",
              Mode: "",
              RW: true,
              Propagation: "",
            },
          ],
          Binds: null,
          VolumesFrom: null,
          VolumeDriver: "",
          Volumes: { "named:/v": {} },
        },
      },
      'inspect of one with {"Image":"with-relative"}': {
        status: 200,
        value: {
          points: [
            {
              Source: "<root>/volumes/<id>/_data",
              Type: "volume",
              Name: "<id>",
              Destination: "/relative",
              Driver: "local",
              Mode: "",
              RW: true,
              Propagation: "",
            },
          ],
          Binds: null,
          VolumesFrom: null,
          VolumeDriver: "",
          Volumes: { relative: {} },
        },
      },
    },
  },
  {
    why: "image and tmpfs mounts of another are taken over too, where dockerd looks for a volume without a name",
    answers: {
      "create of one that takes from an odd donor": { status: 201, value: { Warnings: [] } },
      "inspect of one that takes from an odd donor": {
        status: 200,
        value: {
          points: [
            { Type: "image", Name: "conformance", Destination: "/image", Mode: "", RW: false, Propagation: "rprivate" },
            { Source: "", Type: "tmpfs", Destination: "/memory", Mode: "", RW: true, Propagation: "" },
            {
              Source: "<root>/volumes/named/_data",
              Type: "volume",
              Name: "named",
              Destination: "/named",
              Driver: "local",
              Mode: "",
              RW: true,
              Propagation: "",
            },
          ],
          Binds: null,
          VolumesFrom: ["odd-donor"],
          VolumeDriver: "",
          Volumes: null,
        },
      },
    },
  },
  {
    why: "one text for a source that is not there",
    answers: {
      'refusal of {"HostConfig":{"Mounts":[{"Type":"bind","Source":"<host>/f/under","Target":"/t"}]}}': {
        status: 400,
        message: 'invalid mount config for type "bind": bind source path does not exist: <host>/f/under',
      },
    },
  },
  {
    why: "options that contradict each other are refused",
    answers: {
      'refusal of {"HostConfig":{"Mounts":[{"Type":"bind","Source":"<host>/d","Target":"/t","BindOptions":{"ReadOnlyNonRecursive":true}}]}}':
        { status: 400, message: "mount options conflict: !ReadOnly && BindOptions.ReadOnlyNonRecursive" },
      'removal of {"HostConfig":{"Mounts":[{"Type":"bind","Source":"<host>/d","Target":"/t","BindOptions":{"ReadOnlyNonRecursive":true}}]}}, should it be there':
        { status: 404, message: "No such container: refused" },
      'refusal of {"HostConfig":{"Mounts":[{"Type":"bind","Source":"<host>/d","Target":"/t","BindOptions":{"ReadOnlyForceRecursive":true}}]}}':
        { status: 400, message: "mount options conflict: !ReadOnly && BindOptions.ReadOnlyForceRecursive" },
      'removal of {"HostConfig":{"Mounts":[{"Type":"bind","Source":"<host>/d","Target":"/t","BindOptions":{"ReadOnlyForceRecursive":true}}]}}, should it be there':
        { status: 404, message: "No such container: refused" },
      'refusal of {"HostConfig":{"Mounts":[{"Type":"bind","Source":"<host>/d","Target":"/t","ReadOnly":true,"BindOptions":{"ReadOnlyNonRecursive":true,"ReadOnlyForceRecursive":true}}]}}':
        { status: 400, message: "mount options conflict: ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive" },
      'removal of {"HostConfig":{"Mounts":[{"Type":"bind","Source":"<host>/d","Target":"/t","ReadOnly":true,"BindOptions":{"ReadOnlyNonRecursive":true,"ReadOnlyForceRecursive":true}}]}}, should it be there':
        { status: 404, message: "No such container: refused" },
      'refusal of {"HostConfig":{"Mounts":[{"Type":"bind","Source":"<host>/d","Target":"/t","ReadOnly":true,"BindOptions":{"ReadOnlyForceRecursive":true,"Propagation":"rshared"}}]}}':
        {
          status: 400,
          message: "mount options conflict: BindOptions.ReadOnlyForceRecursive && BindOptions.Propagation rshared",
        },
      'removal of {"HostConfig":{"Mounts":[{"Type":"bind","Source":"<host>/d","Target":"/t","ReadOnly":true,"BindOptions":{"ReadOnlyForceRecursive":true,"Propagation":"rshared"}}]}}, should it be there':
        { status: 404, message: "No such container: refused" },
    },
  },
  {
    why: "no path has such a byte",
    answers: {
      'refusal of {"HostConfig":{"Mounts":[{"Type":"volume","Source":"named","Target":"/t","VolumeOptions":{"Subpath":"a\\u0000b"}}]}}':
        {
          status: 400,
          message: 'invalid mount config for type "volume": invalid specification: subpath contains a NUL byte',
        },
      'removal of {"HostConfig":{"Mounts":[{"Type":"volume","Source":"named","Target":"/t","VolumeOptions":{"Subpath":"a\\u0000b"}}]}}, should it be there':
        { status: 404, message: "No such container: refused" },
    },
  },
  {
    why: "the target is named as it is used",
    answers: {
      'refusal of {"HostConfig":{"Mounts":[{"Type":"volume","Source":"named","Target":"/t"},{"Type":"volume","Source":"other","Target":"/t/"}]}}':
        { status: 400, message: "Duplicate mount point: /t" },
    },
  },
  {
    why: "two mounts on one target are refused in every form",
    answers: {
      'refusal of {"HostConfig":{"Tmpfs":{"/t":""},"Mounts":[{"Type":"tmpfs","Target":"/t"}]}}': {
        status: 400,
        message: "Duplicate mount point: /t",
      },
      'removal of {"HostConfig":{"Tmpfs":{"/t":""},"Mounts":[{"Type":"tmpfs","Target":"/t"}]}}, should it be there': {
        status: 404,
        message: "No such container: refused",
      },
    },
  },
  {
    why: "no tmpfs has such a size",
    answers: {
      'refusal of {"HostConfig":{"Mounts":[{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":-1}}]}}': {
        status: 400,
        message: 'invalid mount config for type "tmpfs": invalid tmpfs size',
      },
      'removal of {"HostConfig":{"Mounts":[{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":-1}}]}}, should it be there':
        { status: 404, message: "No such container: refused" },
    },
  },
  {
    why: "the type is looked at first",
    answers: {
      'refusal of {"HostConfig":{"Mounts":[{}]}}': {
        status: 400,
        message: 'invalid mount config for type "": mount type unknown',
      },
    },
  },
  {
    why: "image mounts are no experiment",
    answers: {
      'refusal of {"HostConfig":{"Mounts":[{"Type":"image","Source":"conformance","Target":"/t","ImageOptions":{"Subpath":"nope"}}]}}':
        { status: 201, value: { Warnings: [] } },
      'refusal of /v1.48{"HostConfig":{"Mounts":[{"Type":"image","Source":"conformance","Target":"/t","ImageOptions":{"Subpath":"etc"}}]}}':
        { status: 201, value: { Warnings: [] } },
      "an image: create": { status: 201, value: { Warnings: [] } },
      "a part of an image: t: create": { status: 201, value: { Warnings: [] } },
      "a part of an image: t/dir: create": { status: 201, value: { Warnings: [] } },
      "a part of an image: void/link: create": { status: 201, value: { Warnings: [] } },
      "a part of an image: t/file: create": { status: 201, value: { Warnings: [] } },
      "a part of an image: t/out: create": { status: 201, value: { Warnings: [] } },
      "a part of an image: nope: create": { status: 201, value: { Warnings: [] } },
      "create of a user of an image": { status: 201, value: { Warnings: [] } },
    },
  },
  {
    why: "nothing can be mounted there",
    answers: {
      'refusal of {"Volumes":{"/":{}}}': {
        status: 400,
        message: "invalid mount config for type \"volume\": invalid specification: destination can't be '/'",
      },
      'removal of {"Volumes":{"/":{}}}, should it be there': { status: 404, message: "No such container: refused" },
      'refusal of {"Volumes":{"":{}}}': {
        status: 400,
        message: "invalid mount config for type \"volume\": invalid specification: destination can't be '/'",
      },
      'removal of {"Volumes":{"":{}}}, should it be there': { status: 404, message: "No such container: refused" },
    },
  },
  {
    why: "an option that no tmpfs has would fail at every start",
    answers: {
      'refusal of {"HostConfig":{"Tmpfs":{"/t":"foo"}}}': { status: 400, message: 'invalid tmpfs option "foo"' },
      'removal of {"HostConfig":{"Tmpfs":{"/t":"foo"}}}, should it be there': {
        status: 404,
        message: "No such container: refused",
      },
      'refusal of {"HostConfig":{"Tmpfs":{"/t":"size=junk"}}}': {
        status: 400,
        message: 'invalid tmpfs option "size=junk"',
      },
      'removal of {"HostConfig":{"Tmpfs":{"/t":"size=junk"}}}, should it be there': {
        status: 404,
        message: "No such container: refused",
      },
      'refusal of {"HostConfig":{"Tmpfs":{"/t":"size"}}}': { status: 400, message: 'invalid tmpfs option "size"' },
      'removal of {"HostConfig":{"Tmpfs":{"/t":"size"}}}, should it be there': {
        status: 404,
        message: "No such container: refused",
      },
      'refusal of {"HostConfig":{"Tmpfs":{"/t":",,"}}}': { status: 400, message: 'invalid tmpfs option ""' },
      'removal of {"HostConfig":{"Tmpfs":{"/t":",,"}}}, should it be there': {
        status: 404,
        message: "No such container: refused",
      },
    },
  },
  {
    why: "one text for a container that is not there",
    answers: { 'refusal of {"HostConfig":{"VolumesFrom":[":ro"]}}': { status: 400, message: "No such container: " } },
  },
  {
    why: "a fault of the client is no 5xx, and what lacks is said",
    answers: {
      'refusal of {"HostConfig":{"StorageOpt":{"size":"10m"}}}': {
        status: 501,
        message: /^--storage-opt size is supported only where the file system of the data root has project quotas: /,
      },
      'refusal of {"HostConfig":{"StorageOpt":{"foo":"bar"}}}': { status: 400 },
      'refusal of {"HostConfig":{"StorageOpt":{"size":"junk"}}}': { status: 400, message: "invalid size: 'junk'" },
    },
  },
  {
    why: "the path is that of the container",
    answers: {
      "a volume over a file: create": {
        status: 400,
        message: "cannot mount volume over existing file, file exists /t/file",
      },
    },
  },
  {
    why: "links are resolved in the volume or the image, as in a root of its own",
    answers: {
      "a part of a volume: out: start": {
        status: 404,
        message:
          "cannot access path <root>/volumes/parts/_data/out: lstat <root>/volumes/parts/_data/out: no such file or directory",
      },
      "a part of a volume: up: start": { status: 204 },
      "a part of a volume: up: exit": { status: 200, value: { StatusCode: 0 } },
      "a part of a volume: up: what it says": {
        status: 200,
        value:
          "/t\n/t/dir\n/t/dir/deep\n/t/dir/deep/two\n/t/dir/hard\n/t/dir/soft\n/t/dir/sub\n/t/dir/sub/x\n/t/empty\n/t/file\n/t/near\n/t/out\n/t/pipe\n/t/up\n",
      },
      "a part of an image: void/link: start": { status: 204 },
      "a part of an image: void/link: exit": { status: 200, value: { StatusCode: 0 } },
      "a part of an image: void/link: what it says": {
        status: 200,
        value:
          "/t\n/t/dir\n/t/dir/deep\n/t/dir/deep/two\n/t/dir/hard\n/t/dir/soft\n/t/empty\n/t/file\n/t/out\n/t/pipe\n",
      },
      "a part of an image: t/out: start": { status: 204 },
      "a part of an image: t/out: exit": { status: 200, value: { StatusCode: 0 } },
      "a part of an image: t/out: what it says": { status: 200, value: "/t\n" },
      "a part of an image: nope: start": {
        status: 404,
        message:
          "cannot access path <root>/containers/<id>/views/0/nope: lstat <root>/containers/<id>/views/0/nope: no such file or directory",
      },
    },
  },
  {
    why: "how a runtime mounts is its own affair",
    answers: {
      "a directory over a file: start": { status: 400, message: /not a directory/ },
      "a file over a directory: start": { status: 400, message: /not a directory/ },
    },
  },
  {
    why: "a fault of the client is no 5xx, and what is wrong is said",
    answers: {
      "stat of files /fix/file/": { status: 400 },
      "files of files /fix/file/": { status: 400 },
      "stat of files /fix/file/.": { status: 400 },
      "files of files /fix/file/.": { status: 400 },
      "stat of files /fix/link/": { status: 400 },
      "files of files /fix/link/": { status: 400 },
      "stat of files /fix/file/nope": { status: 400 },
      "files of files /fix/file/nope": { status: 400 },
      "put a file into files /fix/file/": { status: 400, message: "extraction point is not a directory" },
      "put what is no tar into files /fix/empty": { status: 400, message: "invalid tar header: bad checksum" },
      "put half a tar into files /fix/empty": { status: 400, message: "unexpected EOF: the archive is truncated" },
      "put a hard link to nothing into files /fix/empty": {
        status: 400,
        message: "fix/empty/three: a hard link to fix/empty/zero, which is not there",
      },
      "put a hostile name into files /fix/empty": { status: 400 },
      "put a hostile hard link into files /fix/empty": {
        status: 400,
        message: 'invalid entry name "../../../../etc/passwd"',
      },
    },
  },
  {
    why: "one text for a loop of links",
    answers: {
      "files of files /fix/loop": { status: 500, message: "/fix/loop: too many levels of symbolic links" },
      "put a file into files /fix/loop": { status: 400, message: "/fix/loop: too many levels of symbolic links" },
    },
  },
  {
    why: "the root is as the image's layer has it",
    answers: {
      "stat of the root": { status: 200, value: { name: "/", mode: 2147484096, linkTarget: "", mtime: "<time>" } },
    },
  },
  {
    why: "links are resolved in the container, as its processes do; a file that came by half does not stay",
    answers: {
      "what all of them have left": {
        status: 200,
        value: {
          stat: { name: "empty", mode: 2148532735, linkTarget: "", mtime: "<time>" },
          entries: [
            "5 1777 0:0 0 empty/",
            "0 644 0:0 1 empty/a/b/c",
            "0 644 0:0 1 empty/absolute",
            "0 644 0:0 1 empty/one",
            "0 644 0:0 1 empty/zipped",
            "0 751 9:10 1 empty/new",
            "1 644 0:0 0 empty/two -> empty/one",
            "2 777 0:0 0 empty/evil -> /etc",
            "5 755 0:0 0 empty/a/",
            "5 755 0:0 0 empty/a/b/",
          ],
        },
      },
      "where a hostile link went": {
        status: 200,
        value: { name: "passwd-new", mode: 420, linkTarget: "", size: 1, mtime: "<time>" },
      },
    },
  },
  {
    why: "an image without users has no such user",
    answers: {
      "put files of nobody": {
        status: 400,
        message:
          'failed to look up user "nobody" in container: unable to find user nobody: no matching entries in passwd file',
      },
    },
  },
  {
    why: "tmpfs and what the kernel makes up are reached as the processes of the container see them",
    answers: {
      "put a file into /memory of a running one": { status: 200 },
      "tmpfs of a running one": {
        status: 200,
        value: {
          stat: { name: "memory", mode: 2148532735, linkTarget: "", mtime: "<time>" },
          entries: ["5 1777 0:0 0 memory/", "0 644 0:0 1 memory/of-running"],
        },
      },
      "put a file into /memory of a paused one": { status: 200 },
      "tmpfs of a paused one": {
        status: 200,
        value: {
          stat: { name: "memory", mode: 2148532735, linkTarget: "", mtime: "<time>" },
          entries: ["5 1777 0:0 0 memory/", "0 644 0:0 1 memory/of-paused", "0 644 0:0 1 memory/of-running"],
        },
      },
      "put a file into /proc": { status: 500, message: /put/ },
      "files of alive /m": {
        status: 200,
        value: {
          stat: { name: "m", mode: 2148532735, linkTarget: "", mtime: "<time>" },
          entries: ["5 1777 0:0 0 m/", "0 644 0:0 1 m/put"],
        },
      },
      "files of alive /dev/shm": {
        status: 200,
        value: {
          stat: { name: "shm", mode: 2148532735, linkTarget: "", mtime: "<time>" },
          entries: ["5 1777 0:0 0 shm/", "0 644 0:0 1 shm/put"],
        },
      },
      "stat of alive /proc": {
        status: 200,
        value: { name: "proc", mode: 2147484013, linkTarget: "", mtime: "<time>" },
      },
      "POST /containers/alive/wait": { status: 200, value: { StatusCode: 0 } },
      "what one that was alive saw": { status: 200, value: "xxxx" },
      "files of a stopped one /m": { status: 200, value: ["m/"] },
      "tmpfs of a stopped one": { status: 200, value: ["m/", "m/after"] },
    },
  },
];

/** The steps with what is said of them above. @throws Error an answer is to a step that there is not */
export function withDifferences(steps: readonly Step[]): readonly Step[] {
  const left = new Map<string, NonNullable<Step["ours"]>>(
    differences.flatMap(({ why, answers }) =>
      Object.entries(answers).map(([name, answer]) => [name, { ...answer, why }] as const),
    ),
  );
  const found = steps.map((step) => {
    const ours = left.get(step.name);
    left.delete(step.name);
    return ours === undefined ? step : { ...step, ours };
  });
  if (left.size > 0) throw new Error(`there are no steps ${[...left.keys()].join(", ")}`);
  return found;
}
