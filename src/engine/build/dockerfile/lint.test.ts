// The rules against what `docker build --check` of dockerd 28.5 reports.

import assert from "node:assert/strict";
import { test } from "node:test";
import { lintDockerfile, type LintFacts, lintRules, lintViolation } from "./lint.ts";
import { parseDockerfile } from "./parse.ts";

const facts: LintFacts = {
  buildArgs: new Map(),
  contexts: new Set(),
  target: "",
  ignorePatterns: ["ign.txt", "igndir"],
  buildPlatform: "linux/amd64",
  targetPlatforms: ["linux/amd64"],
};

function lint(text: string): readonly string[] {
  const file = parseDockerfile(text, "Dockerfile");
  return lintDockerfile(file, facts).map(({ rule, detail, range }) => `${range.start.line} ${rule}: ${detail}`);
}

const signals = "to prevent unintended behavior related to OS signals";
const cases: Readonly<Record<string, readonly string[]>> = {
  "FROM scratch AS Foo\n": ["1 StageNameCasing: Stage name 'Foo' should be lowercase"],
  "From scratch AS x\nfrom scratch As y\nFROM scratch aS z\n": [
    "1 ConsistentInstructionCasing: Command 'From' should match the case of the command majority (uppercase)",
    "2 FromAsCasing: 'As' and 'from' keywords' casing do not match",
    "2 ConsistentInstructionCasing: Command 'from' should match the case of the command majority (uppercase)",
    "3 FromAsCasing: 'aS' and 'FROM' keywords' casing do not match",
  ],
  "from scratch\nenv a=b\nENV c=d\nworkdir /x\n": [
    "3 ConsistentInstructionCasing: Command 'ENV' should match the case of the command majority (lowercase)",
  ],
  "FROM scratch AS b\nFROM scratch AS b\nFROM scratch AS scratch\n": [
    '2 DuplicateStageName: Duplicate stage name "b", stage names should be unique',
    '3 ReservedStageName: Stage name should not use the same name as reserved stage "scratch"',
  ],
  "FROM scratch\nCMD echo a\nENTRYPOINT foo\nHEALTHCHECK CMD x\n": [
    `2 JSONArgsRecommended: JSON arguments recommended for CMD ${signals}`,
    `3 JSONArgsRecommended: JSON arguments recommended for ENTRYPOINT ${signals}`,
  ],
  'FROM scratch AS a\nSHELL ["/bin/sh","-c"]\nFROM a\nCMD echo a\n': [],
  "FROM scratch\nMAINTAINER me\n": [
    "2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label",
  ],
  "ARG FOO\nFROM scratch${FO:-} AS x\nFROM scratch$BAR\n": [
    "2 UndefinedArgInFrom: FROM argument 'FO' is not declared (did you mean FOO?)",
    "3 UndefinedArgInFrom: FROM argument 'BAR' is not declared",
  ],
  "ARG TAG\nFROM busybox:${TAG}\n": [
    "2 InvalidDefaultArgInFrom: Default value for ARG busybox:${TAG} results in empty or invalid base image name",
  ],
  "ARG VARIANT\nFROM busybox${VARIANT:-:latest}\n": [],
  'FROM scratch\nCMD ["a"]\nCMD ["b"]\nHEALTHCHECK NONE\nHEALTHCHECK CMD ["x"]\n': ["CMD", "HEALTHCHECK"].map(
    (name, index) =>
      `${2 + 2 * index} MultipleInstructionsDisallowed: Multiple ${name} instructions should not be used in the same stage because only the last one will be used`,
  ),
  "FROM scratch\nENV a b\nLABEL c d\nENV a=1\n": [
    '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
    '3 LegacyKeyValueFormat: "LABEL key=value" should be used instead of legacy "LABEL key value" format',
  ],
  "FROM --platform=${TARGETPLATFORM} scratch\n": [
    "1 RedundantTargetPlatform: Setting platform to predefined ${TARGETPLATFORM} in FROM is redundant as this is the default behavior",
  ],
  "FROM scratch\nARG MY_TOKEN public_key\nENV apikey=1 monkey=2 TOKEN1=3 X_SECRET_KEY_BASE=4\n": [
    '2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "MY_TOKEN")',
    '3 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "apikey")',
    '3 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "X_SECRET_KEY_BASE")',
  ],
  "FROM --platform=linux/arm64 scratch AS xarmx\nFROM --platform=linux/arm64 scratch AS xarm64x\nFROM --platform=linux/arm/v7 scratch AS armv7\nFROM --platform=$BUILDPLATFORM scratch\n":
    ['1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/arm64"'],
  "# check=experimental=all\nFROM scratch\nCOPY ign.txt /\nADD ign.txt /a\nCOPY ign* igndir/x /\nCOPY --from=a ign.txt /\nADD https://x/ign.txt /\n":
    [
      '3 CopyIgnoredFile: Attempting to Copy file "ign.txt" that is excluded by .dockerignore',
      '4 CopyIgnoredFile: Attempting to Add file "ign.txt" that is excluded by .dockerignore',
      '5 CopyIgnoredFile: Attempting to Copy file "igndir/x" that is excluded by .dockerignore',
    ],
  "# check=skip=all;experimental=InvalidDefinitionDescription\n# Foo\nARG foo=1\n# base is good\nFROM scratch AS base\n# no\nFROM scratch AS Other\n":
    [
      "3 InvalidDefinitionDescription: Comment for ARG should follow the format: `# foo <description>`",
      "7 InvalidDefinitionDescription: Comment for FROM should follow the format: `# other <description>`",
    ],
  "FROM scratch\nEXPOSE 80/TCP 127.0.0.1:80:80 90/udp ${p:-80}\n": [
    "2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '127.0.0.1:80:80'",
    "2 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase",
  ],
  "FROM scratch AS x\nENV d=e\nWORKDIR $d\nWORKDIR f\nFROM x\nWORKDIR g\nFROM scratch\nWORKDIR $u\n": [
    '3 WorkdirRelativePath: Relative workdir "e" can have unexpected results if the base image changes',
  ],
  "# check=skip=JSONArgsRecommended,WorkdirRelativePath\nFROM scratch\nWORKDIR x\nCMD a\n": [],
};

test("each rule finds what docker finds", () => {
  for (const [text, expected] of Object.entries(cases)) assert.deepEqual(lint(text), expected, text);
});

test("a rule has docker's description and address", () => {
  assert.equal(lintRules.length, 22);
  assert.deepEqual(
    lintRules.find((rule) => rule.name === "JSONArgsRecommended"),
    {
      name: "JSONArgsRecommended",
      description: `JSON arguments recommended for ENTRYPOINT/CMD ${signals}`,
      url: "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
      experimental: false,
    },
  );
});

test("error=true makes an error of findings", () => {
  const file = parseDockerfile("# check=error=true\nFROM scratch\nWORKDIR x\n", "Dockerfile");
  assert.equal(
    lintViolation(lintDockerfile(file, facts), file.directives.check),
    "lint violation found for rules: WorkdirRelativePath",
  );
  assert.equal(lintViolation([], file.directives.check), undefined);
});

test("many stages are checked in good time", () => {
  const text = Array.from({ length: 3000 }, (_, index) => `FROM s${index} AS s${index + 1}\nWORKDIR $a\nCMD x\n`).join(
    "",
  );
  assert.ok(lint(text).length >= 3000);
});
