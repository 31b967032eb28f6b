// Dockerfiles and what must come of them: run through docker buildx on dockerd 28.5 once (record-builds.ts), and through `gantry build` on
// our engine in every test. Each case shows one thing of the language. `base` is an image that both engines import.

import { languageCases } from "./build-cases-language.ts";
import type { BuildOutcome } from "./build-runs.ts";

/** A file of the context: its text, or what else it is. */
export type ContextFile = string | { readonly text: string; readonly mode: number } | { readonly link: string };

export interface BuildCase {
  readonly name: string;
  readonly dockerfile: string;
  readonly files?: Readonly<Record<string, ContextFile>>;
  /** More flags; `{dir}` is the directory of the context. */
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** What is not compared. `empty`: whether a step that changed nothing has a layer, as dockerd's graph driver gives it. */
  readonly ignore?: readonly ("history" | "empty" | "tree" | "config" | "message")[];
  /** What comes of it here, where that differs from the reference on purpose. */
  readonly deviation?: { readonly reason: string; readonly outcome: BuildOutcome };
}

const base = "FROM base:1\n";

export const buildCases: readonly BuildCase[] = [
  {
    name: "FROM, RUN in shell form and COPY of a file",
    dockerfile: `${base}RUN echo hi > /hi\nCOPY a /x/\n`,
    files: { a: "A" },
  },
  { name: "RUN in exec form", dockerfile: `${base}RUN ["/bin/sh", "-c", "echo $0 $1 > /o", "a b", "c"]\n` },
  { name: "FROM scratch with one file", dockerfile: "FROM scratch\nCOPY a /a\n", files: { a: "A" } },
  {
    name: "ARG before FROM, and again inside",
    dockerfile: "ARG V=1\nFROM base:${V}\nARG V\nARG W=w$V\nRUN echo $V $W > /o\n",
  },
  {
    name: "build arguments",
    dockerfile: `${base}ARG A=1\nARG B\nENV C=$A$B\nRUN echo $A $B $C > /o\n`,
    args: ["--build-arg", "A=x", "--build-arg", "B=y"],
  },
  {
    name: "a later stage copies of an earlier one by name and by number",
    dockerfile: "FROM base:1 AS one\nRUN echo 1 > /1\nFROM base:1\nCOPY --from=one /1 /a\nCOPY --from=0 /1 /b\n",
  },
  {
    name: "a stage upon a stage",
    dockerfile: "FROM base:1 AS one\nENV A=1\nWORKDIR /w\nFROM one\nRUN pwd > o; echo $A >> o\n",
  },
  {
    name: "a stage that nobody needs is not run",
    dockerfile: "FROM base:1 AS bad\nRUN false\nFROM base:1\nRUN echo ok > /o\n",
  },
  {
    name: "the target is built and nothing after it",
    dockerfile: "FROM base:1 AS one\nENV A=1\nFROM base:1 AS two\nRUN false\n",
    args: ["--target", "one"],
  },
  { name: "COPY --from an image", dockerfile: "FROM scratch\nCOPY --from=base:1 /etc/passwd /p\n" },
  { name: "heredoc of RUN", dockerfile: `${base}RUN <<EOF\necho one > /o\necho two >> /o\nEOF\n` },
  {
    name: "heredoc of RUN with its own interpreter",
    dockerfile: `${base}RUN <<EOF\n#!/bin/busybox sh\necho $0 | grep -c . > /o\nEOF\n`,
  },
  { name: "heredoc into a command", dockerfile: `${base}RUN cat <<EOF > /o\na $HOME b\nEOF\n` },
  { name: "two heredocs in one RUN", dockerfile: `${base}RUN cat <<A <<B > /o\none\nA\ntwo\nB\n` },
  {
    name: "heredocs of COPY: expanded, quoted, with tabs taken away",
    dockerfile: `${base}ENV V=v\nCOPY <<a <<"b" <<-c /d/\n$V\na\n$V\nb\n\t\tt $V\nc\n`,
  },
  {
    name: "heredoc of COPY into a file with a mode and an owner",
    dockerfile: `${base}COPY --chmod=750 --chown=2:3 <<EOF /f\nx\nEOF\n`,
  },
  { name: "SHELL", dockerfile: `${base}SHELL ["/bin/busybox", "sh", "-ec"]\nRUN echo $0 > /o\nCMD x\n` },
  {
    name: "ENV in both forms, and one instruction is one view of the variables",
    dockerfile: `${base}ENV a=1 b=2\nENV a=3 c=$a\nENV d some  words\nRUN echo $a $b $c $d > /o\n`,
  },
  {
    name: "all operators of variables",
    dockerfile: `${base}ENV v=abcabc e=\nENV A=\${u:-d} B=\${e:-d} C=\${e-d} D=\${v:+w} E=\${u+w} F=\${v#a} G=\${v##*b} H=\${v%c} I=\${v%%b*} J=\${v/b/X} K=\${v//b/X}\n`,
  },
  { name: "quotes and escapes in values", dockerfile: `${base}ENV A="a b" B=a\\ b C='$A' D="\\"q\\"" E=$A\n` },
  { name: "the escape directive", dockerfile: "# escape=`\nFROM base:1\nENV A=a` b\nRUN echo a `\n && echo b > /o\n" },
  {
    name: "comments and blank lines inside of an instruction",
    dockerfile: `${base}RUN echo a \\\n# no\n\n  && echo b > /o\n`,
  },
  { name: "lower-case instructions and CRLF", dockerfile: "from base:1\r\nrun echo a > /o\r\nenv A=b\r\n" },
  {
    name: "LABEL, EXPOSE with ranges, USER, VOLUME, STOPSIGNAL",
    dockerfile: `${base}LABEL a=b "c d"=e\nEXPOSE 80 53/udp 8000-8002\nVOLUME /v ["not json\nUSER 5:6\nSTOPSIGNAL SIGINT\n`,
    ignore: ["message"],
  },
  {
    name: "EXPOSE and VOLUME in their ordinary forms",
    dockerfile: `${base}LABEL a=b "c d"=e\nEXPOSE 80 53/udp 8000-8002\nVOLUME ["/v", "/w x"]\nVOLUME /a /b\nUSER 5:6\nSTOPSIGNAL SIGINT\n`,
    // A container of it would need volumes.
    ignore: ["tree"],
  },
  { name: "labels of the request", dockerfile: `${base}LABEL a=1\n`, args: ["--label", "a=2", "--label", "b=3"] },
  {
    name: "WORKDIR makes directories, relative ones below the last",
    dockerfile: `${base}WORKDIR /a\nWORKDIR b\nWORKDIR $HOME/c\nRUN pwd > /o\n`,
  },
  { name: "WORKDIR belongs to root whatever USER says", dockerfile: `${base}USER 7\nWORKDIR /w\nRUN id -u > /tmp/o\n` },
  {
    name: "CMD and ENTRYPOINT; an ENTRYPOINT takes an inherited CMD away",
    dockerfile: `${base}CMD ["a", "b"]\nENTRYPOINT ["e"]\n`,
  },
  { name: "CMD and ENTRYPOINT in shell form", dockerfile: `${base}ENTRYPOINT exec e\nCMD c d\n` },
  {
    name: "an ENTRYPOINT over the CMD of a base",
    dockerfile: 'FROM base:1 AS b\nCMD ["x"]\nFROM b\nENTRYPOINT ["e"]\n',
  },
  {
    name: "HEALTHCHECK",
    dockerfile: `${base}HEALTHCHECK --interval=5s --timeout=2s --start-period=1m --start-interval=3s --retries=4 CMD test -f /x\n`,
  },
  { name: "HEALTHCHECK NONE", dockerfile: `${base}HEALTHCHECK NONE\n` },
  { name: "ONBUILD is kept for later", dockerfile: `${base}ONBUILD RUN echo x\nONBUILD COPY a /\n` },
  { name: "MAINTAINER", dockerfile: `${base}MAINTAINER me <me@x>\n` },
  {
    name: "COPY of directories copies what is in them",
    dockerfile: "FROM scratch\nCOPY d /x\nCOPY d /y/\nCOPY d/e d/f /z/\n",
    files: { "d/e": "E", "d/f": "F", "d/g/h": "H" },
  },
  {
    name: "COPY of the whole context",
    dockerfile: "FROM scratch\nCOPY . /\n",
    files: { "d/e": { text: "E", mode: 0o755 }, l: { link: "d/e" } },
  },
  {
    name: "COPY keeps modes and links",
    dockerfile: "FROM scratch\nCOPY d /d/\n",
    files: { "d/x": { text: "x", mode: 0o750 }, "d/l": { link: "x" }, "d/out": { link: "/etc/passwd" } },
  },
  {
    name: "COPY with patterns and with spaces",
    dockerfile: 'FROM scratch\nCOPY *.txt /t/\nCOPY ["a b", "/c d/"]\nCOPY [xy]? /p/\n',
    files: { "a.txt": "a", "b.txt": "b", "a b": "ab", x1: "1", y2: "2" },
  },
  {
    name: "COPY --chown by name and by number, --chmod in octal",
    dockerfile: `${base}COPY --chown=app:app --chmod=640 a /a\nCOPY --chown=12 a /b\nCOPY --chown=app a /c\n`,
    files: { a: "A" },
  },
  {
    name: "COPY --chmod with letters",
    dockerfile: `${base}COPY --chmod=u=rwX,go=rX d /d/\n`,
    files: { "d/x": { text: "x", mode: 0o700 }, "d/y": { text: "y", mode: 0o600 } },
  },
  { name: "COPY --link", dockerfile: `${base}COPY --link a /l/a\nCOPY --link --chown=1:2 a /m/b\n`, files: { a: "A" } },
  {
    name: "COPY --exclude",
    dockerfile: "FROM scratch\nCOPY --exclude=*.log --exclude=d/t d /d/\n",
    files: { "d/a.log": "1", "d/b": "2", "d/t/x": "3", "d/u/y.log": "4" },
  },
  {
    name: "COPY into a directory that is a link",
    dockerfile: `${base}RUN mkdir /real && ln -s /real /alias\nCOPY a /alias/\nCOPY a /alias/sub/\n`,
    files: { a: "A" },
  },
  {
    name: "ADD unpacks a tar, COPY does not",
    dockerfile:
      "FROM base:1 AS t\nRUN mkdir /d && echo x > /d/x && tar -C /d -czf /t.tgz x\nFROM scratch\nCOPY --from=t /t.tgz /c/\nADD --unpack=false a /u/\nADD a /p/\n",
    files: { a: "A" },
    ignore: ["tree"],
  },
  {
    name: ".dockerignore with exceptions and comments",
    dockerfile: "FROM scratch\nCOPY . /\n",
    files: {
      ".dockerignore": "# c\n*.md\n!README.md\n/d/*\n!d/keep\n**/tmp\n",
      "README.md": "r",
      "x.md": "x",
      "d/drop": "1",
      "d/keep": "2",
      "e/tmp": "3",
      "e/f": "4",
    },
  },
  {
    name: "a .dockerignore of the Dockerfile's own comes first",
    dockerfile: "FROM scratch\nCOPY . /\n",
    files: { ".dockerignore": "a\n", "Dockerfile.dockerignore": "b\n", a: "a", b: "b" },
  },
  {
    name: "a Dockerfile of another name in a directory",
    dockerfile: "",
    files: { "sub/My.df": "FROM scratch\nCOPY a /\n", a: "a" },
    args: ["-f", "{dir}/sub/My.df"],
  },
  {
    name: "RUN --mount=bind from the context, read-only",
    dockerfile: `${base}RUN --mount=type=bind,source=d,target=/m cat /m/x > /o; touch /m/y 2>/dev/null || echo ro >> /o\n`,
    files: { "d/x": "X" },
  },
  {
    name: "RUN --mount=bind from a stage, writes are thrown away",
    dockerfile: `FROM base:1 AS s\nRUN mkdir /d && echo x > /d/x\nFROM base:1\nRUN --mount=from=s,source=/d,target=/m,rw echo y > /m/y && ls /m > /o\nRUN --mount=from=s,source=/d,target=/m ls /m >> /o\n`,
  },
  {
    name: "RUN --mount=cache keeps files out of the image",
    dockerfile: `${base}RUN --mount=type=cache,target=/c echo x > /c/x\nRUN --mount=type=cache,target=/c cat /c/x > /o\n`,
    ignore: ["empty"],
  },
  {
    name: "RUN --mount=tmpfs",
    dockerfile: `${base}RUN --mount=type=tmpfs,target=/t,size=1m touch /t/x && df -k /t | tail -1 | awk '{print $2}' > /o\n`,
  },
  {
    name: "RUN --mount=secret as a file and as a variable",
    dockerfile: `${base}RUN --mount=type=secret,id=s cat /run/secrets/s | wc -c > /o\nRUN --mount=type=secret,id=s,env=S test "$S" = geheim && echo yes >> /o\nRUN --mount=type=secret,id=s,target=/x,mode=0440,uid=3,gid=4 stat -c '%a %u %g' /x >> /o\nRUN --mount=type=secret,id=none echo no secret is fine >> /o\n`,
    files: { secret: "geheim" },
    args: ["--secret", "id=s,src={dir}/secret"],
  },
  { name: "RUN --network=none has lo alone", dockerfile: `${base}RUN --network=none ls /sys/class/net > /o\n` },
  {
    name: "platform arguments",
    dockerfile:
      "FROM --platform=$BUILDPLATFORM base:1\nARG TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT BUILDPLATFORM BUILDOS BUILDARCH\nRUN echo $TARGETPLATFORM $TARGETOS $TARGETARCH -$TARGETVARIANT- $BUILDPLATFORM $BUILDOS $BUILDARCH > /o\n",
  },
  {
    name: "proxies are arguments without being declared, and not in the history",
    dockerfile: `${base}RUN echo $HTTP_PROXY $http_proxy > /o\n`,
    args: ["--build-arg", "HTTP_PROXY=http://p"],
  },
  {
    name: "--add-host",
    dockerfile: `${base}RUN grep -c somewhere /etc/hosts > /o\n`,
    args: ["--add-host", "somewhere:10.1.2.3"],
  },
  {
    name: "--build-context takes the place of an image and of a stage",
    dockerfile: "FROM other AS x\nFROM scratch\nCOPY --from=x /etc/group /g\nCOPY --from=dir f /f\n",
    files: { "named/f": "F" },
    args: ["--build-context", "other=docker-image://base:1", "--build-context", "dir={dir}/named"],
  },
  {
    name: "deleted files, and a directory that comes again",
    dockerfile: `${base}RUN mkdir /d && touch /d/a /d/b\nRUN rm -rf /d && mkdir /d && touch /d/c && rm /etc/group\n`,
  },
  {
    name: "hard links, fifos and special modes survive",
    dockerfile: `${base}RUN mkdir /d && echo x > /d/a && ln /d/a /d/b && mkfifo /d/p && chmod 4755 /d/a && mkdir -m 1777 /d/t\n`,
  },
  { name: "a RUN that changes nothing has no layer", dockerfile: `${base}RUN true\nENV A=1\n`, ignore: ["empty"] },
  { name: "files of the step's user", dockerfile: `${base}USER app\nRUN id -un > /tmp/o && echo $HOME >> /tmp/o\n` },
  { name: "# check=skip is no obstacle", dockerfile: "# check=skip=all\nFROM base:1 as x\nCMD x\n" },
  { name: "# syntax=docker/dockerfile is ours", dockerfile: "FROM base:1\nRUN echo ok > /o\n" },

  { name: "error: no instruction of that name", dockerfile: `${base}RUNN x\n` },
  { name: "error: a flag that COPY does not have", dockerfile: `${base}COPY --chwon=1 a /\n`, files: { a: "" } },
  { name: "error: a step that fails", dockerfile: `${base}RUN exit 3\n` },
  { name: "error: a command that is not there", dockerfile: `${base}RUN ["/nope"]\n`, ignore: ["message"] },
  { name: "error: COPY of what is not there", dockerfile: `${base}COPY nope /\n`, ignore: ["message"] },
  { name: "error: a stage that is not there", dockerfile: `${base}COPY --from=9 a /\n` },
  { name: "error: a target that is not there", dockerfile: base, args: ["--target", "nope"] },
  { name: "error: a heredoc without an end", dockerfile: `${base}RUN <<EOF\nx\n` },
  { name: "error: an empty Dockerfile", dockerfile: "\n# nothing\n" },
  { name: "error: no FROM first", dockerfile: "RUN x\n" },
  { name: "error: a secret that is required", dockerfile: `${base}RUN --mount=type=secret,id=x,required=true true\n` },
  { name: "error: a mount without a target", dockerfile: `${base}RUN --mount=type=cache true\n` },
  {
    name: "error: a mount of an unknown type",
    dockerfile: `${base}RUN --mount=type=magic,target=/x true\n`,
    deviation: {
      reason: "what is wrong with one instruction names its line",
      outcome: { error: 'dockerfile parse error on line 2: unsupported mount type "magic"' },
    },
  },
  { name: "error: a bad substitution", dockerfile: `${base}ENV A=\${x!y}\n` },
  { name: "error: COPY without a destination", dockerfile: `${base}COPY a\n`, files: { a: "" } },
  { name: "error: several sources need a directory", dockerfile: `${base}COPY a b /f\n`, files: { a: "", b: "" } },
  {
    name: "error: the network of the host was not allowed",
    dockerfile: `${base}RUN --network=host true\n`,
    ignore: ["message"],
  },
  { name: "error: an ARG of FROM that is empty", dockerfile: "ARG X\nFROM $X\n" },
  {
    name: "error: no user of that name for chown",
    dockerfile: `${base}COPY --chown=nobody9 a /a\n`,
    files: { a: "" },
    deviation: {
      reason: "the reference gives the file to root without a word",
      outcome: { error: "unable to find user nobody9: no matching entries in passwd file" },
    },
  },
  ...languageCases,
];
