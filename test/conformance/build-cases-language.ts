// More Dockerfiles of the corpus: where variables, stages, triggers, heredocs and flags meet. See build-cases.ts.

import type { BuildCase } from "./build-cases.ts";

const base = "FROM base:1\n";

export const languageCases: readonly BuildCase[] = [
  // Variables
  {
    name: "an ARG of one stage is none of the next, and comes again when it is declared",
    dockerfile:
      "ARG G=g\nFROM base:1 AS a\nARG G\nARG L=l\nRUN echo $G-$L > /a\nFROM base:1\nARG L\nRUN echo $G-$L > /b\nCOPY --from=a /a /a\n",
  },
  { name: "an ARG holds from its line on", dockerfile: `${base}RUN echo [$A] > /o\nARG A=1\nRUN echo [$A] >> /o\n` },
  {
    name: "ENV goes before ARG of the same name",
    dockerfile: `${base}ARG A=1\nENV A=2\nARG A=3\nRUN echo $A > /o\n`,
    args: ["--build-arg", "A=4"],
  },
  {
    name: "a stage upon a stage keeps its arguments",
    dockerfile: "FROM base:1 AS one\nARG A=1\nFROM one\nRUN echo [$A] > /o\n",
  },
  {
    name: "several names in one ARG",
    dockerfile: `${base}ARG A=1 B=2 C\nENV X=$A$B$C\n`,
    args: ["--build-arg", "C=3"],
  },
  {
    name: "an ARG with the default of another",
    dockerfile: `${base}ARG A=1\nARG B=\${A}2\nARG C=\${NONE:-\${B}3}\nENV X=$C\n`,
  },
  {
    name: "variables in EXPOSE, LABEL, USER, WORKDIR, VOLUME-less metadata",
    dockerfile: `${base}ENV P=80 U=app D=/w K=key\nEXPOSE $P \${P}81/udp\nLABEL $K=$P "x y"="$D z"\nWORKDIR $D/$U\nUSER $U:$U\nSTOPSIGNAL \${S:-SIGTERM}\n`,
  },
  {
    name: "variables in COPY, its flags, and ADD",
    dockerfile: `${base}ARG F=a D=/d O=1:2\nCOPY --chown=$O $F $D/\nADD \${F} $D/\${F}2\n`,
    files: { a: "A" },
  },
  {
    name: "variables in the exec form are the shell's, not the builder's",
    dockerfile: `${base}ENV A=1\nRUN ["echo", "$A"]\nCMD ["echo", "$A"]\nENTRYPOINT echo $A\nHEALTHCHECK CMD echo $A\n`,
    ignore: ["empty"],
  },
  { name: "a dollar that is escaped stays", dockerfile: `${base}ENV A=1\nENV B=\\$A C="\\$A" D='$A'\nLABEL x=\\$A\n` },
  {
    name: "variables in FROM: image, stage and platform",
    dockerfile: "ARG I=base T=1 P=linux\nFROM --platform=$P $I:${T} AS s-$T\nFROM s-1\nCOPY --from=s-1 /etc/group /g\n",
    ignore: ["message"],
  },
  { name: "ENV of the base is seen", dockerfile: `${base}ENV PATH=/x:$PATH\n` },
  {
    name: "LABEL and ENV over several lines with quotes",
    dockerfile: `${base}LABEL a="1 \\\n  2" \\\n  b=3\nENV A="x" \\\n    B='y z'\n`,
  },
  { name: "old form of LABEL and ENV", dockerfile: `${base}LABEL key some words here\nENV A b=c d\n` },
  { name: "a variable that is empty in an ENV of several", dockerfile: `${base}ENV A= B="" C=$NOPE\n` },
  // Stages
  {
    name: "stages are found whatever the case of their names",
    dockerfile: "FROM base:1 AS Build\nRUN echo 1 > /1\nFROM base:1\nCOPY --from=bUILD /1 /x\n",
  },
  { name: "FROM --platform of a constant", dockerfile: "FROM --platform=linux/amd64 base:1\nRUN echo ok > /o\n" },
  {
    name: "FROM --platform=$TARGETPLATFORM",
    dockerfile: "FROM --platform=${TARGETPLATFORM} base:1\nARG TARGETARCH\nRUN echo $TARGETARCH > /o\n",
  },
  { name: "error: a platform that is none", dockerfile: "FROM --platform=a/b/c/d base:1\n", ignore: ["message"] },
  { name: "error: a stage copies of itself", dockerfile: "FROM base:1 AS a\nCOPY --from=a /x /y\n" },
  { name: "error: a stage's name that is none", dockerfile: "FROM base:1 AS 1a\n" },
  { name: "error: FROM with too many words", dockerfile: "FROM base:1 AS a b\n" },
  // Triggers
  {
    name: "triggers of a stage run in the stage upon it",
    dockerfile: "FROM base:1 AS b\nONBUILD RUN echo t > /t\nONBUILD ENV T=1\nFROM b\nRUN echo $T > /o\n",
  },
  { name: "error: ONBUILD of ONBUILD", dockerfile: `${base}ONBUILD ONBUILD RUN x\n` },
  { name: "error: ONBUILD of FROM", dockerfile: `${base}ONBUILD FROM x\n` },
  { name: "error: ONBUILD of nothing", dockerfile: `${base}ONBUILD\n` },
  {
    name: "a trigger copies of a stage",
    dockerfile:
      "FROM base:1 AS src\nRUN echo s > /s\nFROM base:1 AS b\nONBUILD COPY --from=src /s /t\nFROM b\nRUN cat /t > /o\n",
  },
  // Shells and commands
  {
    name: "SHELL holds for shell forms alone, and for the next stage upon it",
    dockerfile: `${base}SHELL ["/bin/sh", "-xc"]\nRUN ["/bin/sh", "-c", "echo exec > /e"]\nCMD a b\nENTRYPOINT ["e"]\nHEALTHCHECK CMD h\n`,
  },
  { name: "error: SHELL in shell form", dockerfile: `${base}SHELL /bin/sh -c\n` },
  { name: "CMD that looks like JSON and is none", dockerfile: `${base}CMD ['a', 'b']\n` },
  { name: "CMD and ENTRYPOINT that are empty lists", dockerfile: `${base}CMD ["x"]\nCMD []\nENTRYPOINT []\n` },
  {
    name: "HEALTHCHECK is inherited, and taken away",
    dockerfile:
      'FROM base:1 AS a\nHEALTHCHECK --retries=2 CMD x\nFROM a AS b\nHEALTHCHECK --interval=1m CMD ["y"]\nFROM b\n',
  },
  {
    name: "error: HEALTHCHECK with an interval that is too short",
    dockerfile: `${base}HEALTHCHECK --interval=1us CMD x\n`,
  },
  { name: "error: HEALTHCHECK of an unknown kind", dockerfile: `${base}HEALTHCHECK RUN x\n` },
  { name: "STOPSIGNAL as a number", dockerfile: `${base}STOPSIGNAL 9\n` },
  { name: "error: STOPSIGNAL that is none", dockerfile: `${base}STOPSIGNAL NOPE\n` },
  { name: "EXPOSE of the same port twice", dockerfile: `${base}EXPOSE 80 80/tcp\nEXPOSE 80/TCP 443\n` },
  { name: "error: EXPOSE of a word", dockerfile: `${base}EXPOSE web\n` },
  {
    name: "USER and WORKDIR one after another",
    dockerfile: `${base}USER app\nWORKDIR /a\nRUN id -un > /tmp/u\nUSER 0\nWORKDIR ../b/./c\nRUN pwd > /tmp/p\nUSER app:0\n`,
  },
  {
    name: "WORKDIR with dots and slashes at its end",
    dockerfile: `${base}WORKDIR /a//b/../c/\nWORKDIR .\n`,
    ignore: ["empty"],
  },
  {
    name: "WORKDIR keeps an absolute path as it was written",
    ignore: ["tree"],
    dockerfile: `${base}WORKDIR /a//b/../c/\nRUN pwd > /o\n`,
  },
  // Heredocs
  {
    name: "a heredoc keeps its blank lines, comments and backslashes",
    dockerfile: `${base}COPY <<EOF /f\n# no comment\n\na\\\\b \\$c\nEOF\nRUN <<EOF\n# a comment\n\necho 1 \\\n 2 > /o\nEOF\n`,
  },
  {
    name: "a heredoc of RUN is not expanded by the builder",
    dockerfile: `${base}ARG A=1\nRUN <<EOF\nA=2\necho $A > /o\nEOF\nRUN <<"EOF"\necho $A >> /o\nEOF\n`,
  },
  { name: "a heredoc with tabs for RUN", dockerfile: `${base}RUN <<-EOF\n\t\techo a > /o\n\tEOF\n` },
  { name: "a heredoc with another's marker inside", dockerfile: `${base}COPY <<A /a\n<<B\nB\nA\n` },
  { name: "a heredoc of ADD, and files beside it", dockerfile: `${base}ADD a <<EOF /d/\nx\nEOF\n`, files: { a: "A" } },
  {
    name: "a heredoc of RUN under SHELL",
    dockerfile: `${base}SHELL ["/bin/sh", "-ec"]\nRUN <<EOF\necho a > /o\nfalse || true\nEOF\n`,
  },
  // Files
  {
    name: "COPY --chmod: letters of all kinds",
    dockerfile: `${base}COPY --chmod=a+x a /1\nCOPY --chmod=go-rw a /2\nCOPY --chmod=u=rw,g=u,o= a /3\nCOPY --chmod=+x a /4\nCOPY --chmod=0 a /5\nCOPY --chmod=4755 a /6\n`,
    files: { a: { text: "A", mode: 0o640 } },
  },
  {
    name: "error: COPY --chmod that is none",
    dockerfile: `${base}COPY --chmod=zz a /1\n`,
    files: { a: "A" },
    ignore: ["message"],
  },
  {
    name: "COPY --parents",
    dockerfile: "FROM scratch\nCOPY --parents a/b/c a/./d/e /x/\n",
    files: { "a/b/c": "C", "a/d/e": "E" },
    deviation: {
      reason: "the reference has it from a frontend of the registry alone",
      outcome: {
        config: {
          Cmd: null,
          Entrypoint: null,
          Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
          Labels: null,
          OnBuild: null,
          User: "",
          Volumes: null,
          WorkingDir: "/",
        },
        history: [
          { by: "COPY --parents a/b/c a/./d/e /x/ # buildkit", empty: false, comment: "buildkit.dockerfile.v0" },
        ],
        tree: [
          "x 5 755 0:0 - -",
          "x/a 5 755 0:0 - -",
          "x/a/b 5 755 0:0 - -",
          "x/a/b/c 0 644 0:0 - 6b23c0d5f35d",
          "x/d 5 755 0:0 - -",
          "x/d/e 0 644 0:0 - a9f51566bd67",
        ],
      },
    },
  },
  {
    name: "COPY of one file to a directory that is not there, with and without a slash",
    dockerfile: "FROM scratch\nCOPY a /x/y\nCOPY a /z/\nCOPY a ./w\nCOPY a .\n",
    files: { a: "A" },
  },
  {
    name: "COPY below the working directory",
    dockerfile: `${base}WORKDIR /w\nCOPY a .\nCOPY a b/\nCOPY a ../up\n`,
    files: { a: "A" },
  },
  {
    name: "COPY over a file and over a directory",
    dockerfile: `${base}RUN mkdir /d && echo old > /d/a && echo keep > /d/k\nCOPY d /d\nCOPY d/a /etc/group\n`,
    files: { "d/a": "new" },
  },
  {
    name: "error: COPY of a directory over a file",
    dockerfile: `${base}COPY d /etc/group\n`,
    files: { "d/a": "" },
    ignore: ["message"],
  },
  {
    name: "COPY --from with patterns, and a link that is followed",
    dockerfile:
      "FROM base:1 AS s\nRUN mkdir /d && echo 1 > /d/a1 && echo 2 > /d/a2 && ln -s a1 /d/l && ln -s /d /e\nFROM scratch\nCOPY --from=s /d/a* /x/\nCOPY --from=s /d/l /y\nCOPY --from=s /e/ /z/\n",
  },
  { name: "a pattern that finds nothing", dockerfile: `${base}COPY x* /x/\n`, files: { a: "" }, ignore: ["empty"] },
  {
    name: "paths out of the context stay in it",
    dockerfile: `${base}COPY ../../a /x/\nCOPY /a /y/\n`,
    files: { a: "A" },
  },
  // Lines
  {
    name: "comments between and behind, blanks, tabs, and a line without an end",
    dockerfile: "# c\n\n  # indented\nFROM base:1\n\tRUN echo '#' no > /o # yes\n  ENV A=b#c\nLABEL a=b",
  },
  { name: "a continued line with blanks behind its backslash", dockerfile: `${base}RUN echo a \\  \n b > /o\n` },
  { name: "a byte order mark", dockerfile: `\uFEFF${base}RUN echo a > /o\n` },
  { name: "error: a flag twice", dockerfile: `${base}COPY --chown=1 --chown=2 a /\n`, files: { a: "" } },
  { name: "error: a flag without a value", dockerfile: `${base}RUN --network= true\n` },
  { name: "error: ARG without a name", dockerfile: `${base}ARG\n` },
  {
    name: "error: ENV without a value",
    dockerfile: `${base}ENV A\n`,
    deviation: {
      reason: "what is wrong with one instruction names its line",
      outcome: { error: "dockerfile parse error on line 2: ENV must have two arguments" },
    },
  },
  { name: "error: LABEL of nothing", dockerfile: `${base}LABEL\n` },
  { name: "error: USER of nobody", dockerfile: `${base}USER nobody9\nRUN true\n`, ignore: ["message"] },
  { name: "error: WORKDIR of nothing", dockerfile: `${base}WORKDIR\n` },
  {
    name: "error: an unknown mount option",
    dockerfile: `${base}RUN --mount=type=bind,nope=1,target=/x true\n`,
    deviation: {
      reason: "what is wrong with one instruction names its line",
      outcome: { error: "dockerfile parse error on line 2: unexpected key 'nope' in 'nope=1' (did you mean type?)" },
    },
  },
];
