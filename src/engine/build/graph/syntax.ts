// `# syntax=` and BUILDKIT_SYNTAX: Dockerfile's own frontend is built in, with its labs channel; others are not run.

import { EngineError } from "../../../base/errors.ts";
import { parseNamed } from "../../../base/reference.ts";
import { type Dockerfile, DockerfileError } from "../dockerfile/index.ts";

const builtIn = new Set(["docker/dockerfile", "docker/dockerfile-upstream", "library/dockerfile"]);

function isBuiltIn(reference: string): boolean {
  if (reference === "dockerfile.v0") return true;
  try {
    const { domain, path } = parseNamed(reference);
    return domain === "docker.io" && builtIn.has(path);
  } catch {
    return false;
  }
}

/** @throws DockerfileError, NotImplemented: a frontend that would have to be run */
export function checkSyntax(dockerfile: Dockerfile, buildArgs: ReadonlyMap<string, string>): void {
  const given = buildArgs.get("BUILDKIT_SYNTAX");
  const { syntax } = dockerfile.directives;
  const [value] = (given ?? syntax?.value ?? "").trim().split(/\s+/);
  if (value === undefined || value === "" || isBuiltIn(value)) return;
  const message = `frontend ${value} is not supported: only docker/dockerfile is built in`;
  if (given !== undefined || syntax === undefined) throw new EngineError("NotImplemented", message);
  throw new DockerfileError(`line ${syntax.range.start.line}: ${message}`, [syntax.range], {
    kind: "NotImplemented",
  });
}
