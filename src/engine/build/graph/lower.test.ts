// Names of vertices, history and configuration as the reference (dockerd 28.5 with buildx 0.29) makes them of the same Dockerfiles.

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseDockerfile } from "../dockerfile/index.ts";
import { amd64, arm64, historyOf, knownImage, lowerOptions, lowerText, namesOf } from "./fixture.ts";
import { type ExecOp, type FileOp, type LocalOp, type Op, wantedImages, wantedKey } from "./index.ts";

const whole = `ARG BASE=bb:1
ARG UNUSED
FROM $BASE AS build
ARG V=1
ARG W
ENV A=1 B="two words" C=$A
RUN echo $V \${UNSET} "$A" > /x; touch /y
RUN <<EOF
echo hello
echo $V
EOF
RUN <<EOF
#!/bin/sh
echo script
EOF
RUN cat <<EOF > /out && echo done
body $V
EOF
WORKDIR rel/$V
FROM bb:1
ARG V
LABEL x="y z" q=r
WORKDIR /w
COPY --from=build --chown=0:0 /x /y ./
COPY f1 a/f* /dst/
COPY <<EOF /file
a $V
EOF
ADD --chmod=644 f1 /f1a
EXPOSE 80 90-92/udp 53/tcp
VOLUME /v /u
VOLUME ["/a b", "/c"]
USER 1:1
CMD echo hi
ENTRYPOINT ["sh","-c"]
SHELL ["/bin/sh","-ec"]
HEALTHCHECK --interval=5s --retries=2 CMD true
STOPSIGNAL SIGINT
MAINTAINER me
ONBUILD RUN echo trig
RUN --mount=type=cache,target=/c --mount=type=bind,from=build,source=/x,target=/xx true
`;

function opsOf<K extends Op["kind"]>(
  lowered: ReturnType<typeof lowerText>,
  kind: K,
): readonly Extract<Op, { readonly kind: K }>[] {
  return [...lowered.graph.vertices.values()].flatMap(({ op }) =>
    op.kind === kind ? [op as Extract<Op, { readonly kind: K }>] : [],
  );
}

test("a Dockerfile with nearly everything has the reference's names, history and configuration", () => {
  const lowered = lowerText(whole, {
    buildArgs: new Map([
      ["W", "9"],
      ["NOPE", "3"],
      ["http_proxy", "p"],
    ]),
  });
  assert.deepEqual(namesOf(lowered), [
    "[build 1/6] FROM docker.io/library/bb:1",
    "[stage-1 2/7] WORKDIR /w",
    '[build 2/6] RUN echo 1 ${UNSET} "1" > /x; touch /y',
    "[build 3/6] RUN <<EOF (echo hello...)",
    "[build 4/6] RUN <<EOF (#!/bin/sh...)",
    "[build 5/6] RUN cat <<EOF > /out && echo done",
    "[build 6/6] WORKDIR rel/1",
    "[stage-1 3/7] COPY --from=build --chown=0:0 /x /y ./",
    "[internal] load build context",
    "[stage-1 4/7] COPY f1 a/f* /dst/",
    "[internal] preparing inline document",
    "[stage-1 5/7] COPY <<EOF /file",
    "[stage-1 6/7] ADD --chmod=644 f1 /f1a",
    "[stage-1 7/7] RUN --mount=type=cache,target=/c --mount=type=bind,from=build,source=/x,target=/xx true",
  ]);
  assert.deepEqual(historyOf(lowered), [
    "ARG V",
    "LABEL x=y z q=r",
    "WORKDIR /w *",
    "COPY --chown=0:0 /x /y ./ # buildkit *",
    "COPY f1 a/f* /dst/ # buildkit *",
    "COPY <<EOF /file # buildkit *",
    "ADD --chmod=644 f1 /f1a # buildkit *",
    "EXPOSE [53/tcp 80/tcp 90/udp 91/udp 92/udp]",
    "VOLUME [/v /u]",
    "VOLUME [/a b /c]",
    "USER 1:1",
    'CMD ["/bin/sh" "-c" "echo hi"]',
    'ENTRYPOINT ["sh" "-c"]',
    "SHELL [/bin/sh -ec]",
    `HEALTHCHECK &{["CMD-SHELL" "true"] "5s" "0s" "0s" "0s" '\\x02'}`,
    "STOPSIGNAL SIGINT",
    "MAINTAINER me",
    "RUN |1 V= /bin/sh -ec true # buildkit *",
  ]);
  assert.deepEqual(lowered.images[0]?.config, {
    architecture: "amd64",
    author: "me",
    os: "linux",
    config: {
      User: "1:1",
      ExposedPorts: { "53/tcp": {}, "80/tcp": {}, "90/udp": {}, "91/udp": {}, "92/udp": {} },
      Env: ["PATH=/bin"],
      Entrypoint: ["sh", "-c"],
      Cmd: ["/bin/sh", "-c", "echo hi"],
      Volumes: { "/a b": {}, "/c": {}, "/u": {}, "/v": {} },
      WorkingDir: "/w",
      Labels: { q: "r", x: "y z" },
      StopSignal: "SIGINT",
      ArgsEscaped: true,
      Healthcheck: { Test: ["CMD-SHELL", "true"], Interval: 5_000_000_000, Retries: 2 },
      OnBuild: ["RUN echo trig"],
      Shell: ["/bin/sh", "-ec"],
    },
  });
  assert.deepEqual(lowered.unusedBuildArgs, ["NOPE"]);
  assert.deepEqual(
    lowered.warnings.map(({ rule, detail, range }) => [rule, detail, range.start.line]),
    [["UndefinedVar", "Usage of undefined variable '$A' (did you mean $V?)", 6]],
  );
});

test("only what is read of the context is asked for", () => {
  const [local] = opsOf(lowerText(whole, { ignorePatterns: ["a/nothing"] }), "local");
  assert.deepEqual(local, {
    kind: "local",
    name: "context",
    includePatterns: [],
    excludePatterns: ["a/nothing"],
    followPaths: ["a/f*", "f1"],
  } satisfies LocalOp);
  const [everything] = opsOf(lowerText("FROM bb:1\nCOPY a /a\nCOPY . /b\n"), "local");
  assert.deepEqual(everything?.followPaths, []);
});

test("proxies are in the step's environment, and neither in history nor in the vertex", () => {
  const text = "FROM bb:1\nRUN true\n";
  const plain = lowerText(text);
  const proxied = lowerText(text, { buildArgs: new Map([["HTTP_PROXY", "http://p"]]) });
  assert.deepEqual([...plain.graph.vertices.keys()], [...proxied.graph.vertices.keys()]);
  assert.deepEqual(historyOf(proxied), ["RUN /bin/sh -c true # buildkit *"]);
  const [op] = opsOf(proxied, "exec");
  assert.deepEqual(op?.env, ["PATH=/bin", "HTTP_PROXY=http://p", "http_proxy=http://p"]);
});

test("one instruction sees the variables as they are before it", () => {
  const lowered = lowerText("FROM bb:1\nENV a=1\nENV a=2 b=$a\nRUN true\n");
  const [op] = opsOf(lowered, "exec");
  assert.deepEqual(op?.env, ["PATH=/bin", "a=2", "b=1"]);
});

test("heredocs of COPY expand variables and nothing else, unless their name is quoted", () => {
  const body = "a\\b \\$V $V \"$V\" '$V' \\\\ ${V:-x} ${N:-x} ${N}\n";
  const contents = (text: string): readonly string[] =>
    opsOf(lowerText(text), "file").flatMap(({ actions }) =>
      actions.flatMap((action) => (action.action === "mkfile" ? [action.content] : [])),
    );
  assert.deepEqual(contents(`FROM bb:1\nARG V=q\nCOPY <<EOF /h\n${body}EOF\n`), ["ab $V q \"q\" 'q' \\ q x \n"]);
  assert.deepEqual(contents(`FROM bb:1\nARG V=q\nCOPY <<"EOF" /h\n${body}EOF\n`), [body]);
});

test("steps show variables that are set and keep quotes", () => {
  const text = `FROM bb:1
ENV V=2 Z='a b'
RUN echo "$V" \\$V '$V' \${V} \${N} \${N:-d} \${V:+p}
`;
  assert.equal(namesOf(lowerText(text))[1], `[2/2] RUN echo "2" $V '$V' 2 \${N} d p`);
});

test("a cache mount without from makes the only stage be named, as the reference does", () => {
  const lowered = lowerText("FROM bb:1\nRUN --mount=type=cache,target=/c true\n");
  assert.deepEqual(namesOf(lowered), [
    "[stage-0 1/2] FROM docker.io/library/bb:1",
    "[stage-0 2/2] RUN --mount=type=cache,target=/c true",
  ]);
});

test("an image with nothing in it", () => {
  const lowered = lowerText("FROM scratch\nCOPY f1 /\n");
  assert.deepEqual(namesOf(lowered), ["[internal] load build context", "[1/1] COPY f1 /"]);
  assert.deepEqual(lowered.images[0]?.config, {
    architecture: "amd64",
    os: "linux",
    config: { Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], WorkingDir: "/" },
  });
  const [op] = opsOf(lowered, "file");
  assert.equal(op?.hasBase, false);
});

test("a new ENTRYPOINT forgets the inherited CMD, one beside an own CMD does not", () => {
  const cmd = (text: string): unknown => lowerText(text).images[0]?.config.config?.Cmd;
  assert.equal(cmd('FROM bb:1\nENTRYPOINT ["b"]\n'), undefined);
  assert.deepEqual(cmd('FROM bb:1\nCMD ["x"]\nENTRYPOINT ["b"]\n'), ["x"]);
});

test("triggers of a base run first, and may want images of their own", () => {
  const base = knownImage("s:2", amd64, { OnBuild: ["COPY --from=other:1 /a /ob", "ENV T=1"] });
  const text = "FROM s:2\nRUN echo $T\n";
  const dockerfile = parseDockerfile(text, "Dockerfile");
  const first = wantedImages(dockerfile, lowerOptions(), new Map());
  assert.deepEqual(
    first.map(({ reference }) => reference),
    ["docker.io/library/s:2"],
  );
  const second = wantedImages(dockerfile, lowerOptions(), new Map([base]));
  assert.deepEqual(
    second.map(({ reference }) => reference),
    ["docker.io/library/other:1"],
  );
  const lowered = lowerText(text, {}, [base, knownImage("other:1", amd64)]);
  assert.deepEqual(namesOf(lowered), [
    "[1/2] FROM docker.io/library/s:2",
    "FROM docker.io/library/other:1",
    "[2/4] ONBUILD COPY --from=other:1 /a /ob",
    "[3/4] RUN echo 1",
  ]);
});

test("stages that are not needed are neither lowered nor their images wanted", () => {
  const text = "FROM nosuch:1 AS a\nRUN true\nFROM bb:1 AS b\nRUN true\nFROM nosuch:2\nRUN true\n";
  const wanted = wantedImages(parseDockerfile(text, "Dockerfile"), lowerOptions({ target: "b" }), new Map());
  assert.deepEqual(
    wanted.map(({ reference }) => reference),
    ["docker.io/library/bb:1"],
  );
  assert.deepEqual(namesOf(lowerText(text, { target: "B" })), [
    "[b 1/2] FROM docker.io/library/bb:1",
    "[b 2/2] RUN true",
  ]);
});

test("several platforms are named in the steps, and cross-compilation with what it makes", () => {
  const text = `FROM --platform=$BUILDPLATFORM bb:1 AS build
ARG TARGETARCH
RUN make $TARGETARCH
FROM bb:1
COPY --from=build /x /x
`;
  const lowered = lowerText(text, { platforms: [amd64, arm64] });
  assert.deepEqual(namesOf(lowered), [
    "[linux/amd64 build 1/2] FROM docker.io/library/bb:1",
    "[linux/amd64 build 2/2] RUN make amd64",
    "[linux/amd64 stage-1 2/2] COPY --from=build /x /x",
    "[linux/arm64 stage-1 1/2] FROM docker.io/library/bb:1",
    "[linux/amd64->arm64 build 2/2] RUN make arm64",
    "[linux/arm64 stage-1 2/2] COPY --from=build /x /x",
  ]);
  assert.deepEqual(
    lowered.images.map(({ platform, config }) => [platform, config.architecture]),
    [
      [amd64, "amd64"],
      [arm64, "arm64"],
    ],
  );
});

test("named contexts stand in for stages and images, and are asked for what is read of them", () => {
  const text =
    "FROM other AS a\nRUN false\nFROM bb:1\nCOPY --from=a /x /x\nCOPY --from=src /y/z /z\nCOPY --from=bb /q /q\n";
  const lowered = lowerText(text, {
    contexts: new Map([
      ["a", { kind: "local", name: "dir-a" }],
      ["src", { kind: "local", name: "dir-src" }],
      ["bb", { kind: "image", reference: "bb:1" }],
    ]),
  });
  assert.deepEqual(namesOf(lowered), [
    "[stage-1 1/4] FROM docker.io/library/bb:1",
    "[context a] load from client",
    "[stage-1 2/4] COPY --from=a /x /x",
    "[context src] load from client",
    "[stage-1 3/4] COPY --from=src /y/z /z",
    "[stage-1 4/4] COPY --from=bb /q /q",
  ]);
  assert.deepEqual(
    opsOf(lowered, "local").map(({ name, followPaths }) => [name, followPaths]),
    [
      ["dir-a", ["x"]],
      ["dir-src", ["y/z"]],
    ],
  );
});

test("an image in a client's layout is asked for by the digest of its reference", () => {
  const digest = `sha256:${"ab".repeat(32)}`;
  const reference = `store@${digest}`;
  const [, known] = knownImage("bb:1", amd64);
  const lowered = lowerText(
    "FROM laid\nRUN true\n",
    { contexts: new Map([["laid", { kind: "oci-layout", storeId: "store", reference }]]) },
    [[wantedKey({ reference, storeId: "store", platform: amd64, range: undefined }), { ...known, reference }]],
  );
  assert.deepEqual(opsOf(lowered, "oci-layout"), [
    { kind: "oci-layout", storeId: "store", reference, digest, platform: amd64 },
  ]);
});

test("COPY --link stands alone and is merged", () => {
  const lowered = lowerText("FROM bb:1\nCOPY --link a /b/\n");
  const file = opsOf(lowered, "file")[0];
  assert.equal(file?.hasBase, false);
  assert.deepEqual(namesOf(lowered), [
    "[1/2] FROM docker.io/library/bb:1",
    "[internal] load build context",
    "[2/2] COPY --link a /b/",
    "[2/2] LINK COPY --link a /b/",
  ]);
});

test("options of COPY and ADD reach the action", () => {
  const lowered = lowerText(`FROM bb:1
WORKDIR /w
COPY --parents --exclude=*.o --chown=u:g --chmod=u=rwX,go=rX a/./b/c d/
ADD --unpack=false x.tar .
`);
  const actions = opsOf(lowered, "file").flatMap((op: FileOp) => op.actions.filter(({ action }) => action === "copy"));
  assert.deepEqual(actions, [
    {
      action: "copy",
      destination: "/w/d/",
      exclude: ["*.o"],
      ownership: { chown: "u:g", chmod: "u=rwX,go=rX" },
      input: 1,
      source: "/a/./b/c",
      allowWildcard: true,
      required: true,
      parents: true,
      followLinks: true,
      unpack: "never",
    },
    {
      action: "copy",
      destination: "/w/",
      exclude: [],
      ownership: { chown: undefined, chmod: undefined },
      input: 1,
      source: "/x.tar",
      allowWildcard: true,
      required: true,
      parents: false,
      followLinks: true,
      unpack: "never",
    },
  ]);
});

test("mounts have the reference's defaults", () => {
  const lowered = lowerText(
    `FROM bb:1
WORKDIR /w
RUN --mount=type=secret,id=s --mount=type=secret,id=t,env=T --mount=type=ssh --mount=type=tmpfs,target=tmp,size=1m --mount=target=src --mount=type=cache,id=i,target=/c,sharing=locked,mode=0700,uid=5 true
`,
    { cacheMountNamespace: "ns" },
  );
  const [op] = opsOf(lowered, "exec");
  const ids = { uid: 0, gid: 0 };
  assert.deepEqual(op?.mounts, [
    { type: "secret", id: "s", target: "/run/secrets/s", env: undefined, required: false, mode: 0o400, ...ids },
    { type: "secret", id: "t", target: undefined, env: "T", required: false, mode: 0o400, ...ids },
    { type: "ssh", id: "default", target: "/run/buildkit/ssh_agent.0", required: false, mode: 0o600, ...ids },
    { type: "tmpfs", target: "/w/tmp", sizeBytes: 1024 * 1024 },
    { type: "bind", input: 1, source: "/", target: "/w/src", readonly: true },
    {
      type: "cache",
      id: "ns/i",
      target: "/c",
      sharing: "locked",
      readonly: false,
      input: undefined,
      source: "/",
      mode: 0o700,
      uid: 5,
      gid: 0,
    },
  ] satisfies ExecOp["mounts"]);
  assert.ok(op?.env.includes("SSH_AUTH_SOCK=/run/buildkit/ssh_agent.0"));
});

const refused: readonly (readonly [text: string, message: string, line: number])[] = [
  [
    "FROM bb:1 AS a\nCOPY --from=b /x /x\nFROM a AS b\nCOPY --from=a /x /x\n",
    "circular dependency detected on stage: a",
    4,
  ],
  [
    "FROM bb:1 AS a\nCOPY --from=b /x /x\nFROM bb:1 AS b\nFROM a\n",
    'cannot copy from stage "b", it needs to be defined before current stage "a"',
    2,
  ],
  ["FROM bb:1 AS a\nCOPY --from=a /x /x\n", "circular dependency detected on stage: a", 2],
  ["FROM bb:1 AS a\nCOPY --from=3 /x /x\n", "invalid stage index 3", 2],
  ["FROM $X\nRUN false\n", "base name ($X) should not be blank", 1],
  ["FROM --platform=$X bb:1\n", "empty platform value from expression $X", 1],
  ["FROM bb:1\nEXPOSE 80-70\n", "invalid containerPort: 80-70", 2],
  ["FROM bb:1\nEXPOSE abc\n", "invalid containerPort: abc", 2],
  ["FROM bb:1\nSTOPSIGNAL foo\n", "invalid signal: foo", 2],
  [
    "FROM bb:1\nARG T=/\nRUN --mount=type=bind,target=$T true\n",
    'dockerfile parse error on line 3: invalid mount target "/"',
    3,
  ],
  [
    "FROM bb:1\nCOPY --chmod=99 f1 /\n",
    "invalid chmod parameter: '99'. it should be octal string and between 0 and 07777",
    2,
  ],
  [
    "FROM BB:1\n",
    'failed to parse stage name "BB:1": invalid reference format: repository name (library/BB) must be lowercase',
    1,
  ],
  ["FROM bb:1\nCOPY https://example.com/x /x\n", "source can't be a URL for COPY", 2],
  ["FROM bb:1\nADD --checksum=sha256:00 a /x\n", "checksum requires HTTP(S) or Git sources", 2],
  [
    "# syntax=example.com/other:1\nFROM bb:1\n",
    "line 1: frontend example.com/other:1 is not supported: only docker/dockerfile is built in",
    1,
  ],
];

for (const [text, message, line] of refused) {
  test(`refused with its line: ${message}`, () => {
    assert.throws(
      () => lowerText(text),
      (error: Error & { readonly ranges: readonly { readonly start: { readonly line: number } }[] }) => {
        assert.ok(error.message.startsWith(message), error.message);
        assert.equal(error.ranges[0]?.start.line, line);
        return true;
      },
    );
  });
}

test("a target that is not there, and the one that was meant", () => {
  assert.throws(() => lowerText("FROM bb:1 AS alpha\n", { target: "alph" }), {
    message: 'target stage "alph" could not be found (did you mean alpha?)',
  });
});
