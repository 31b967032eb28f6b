// `gantry build`: an image from a Dockerfile. Flags and output as docker buildx build's; --plan and --debug are ours.

import { writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { GrpcError } from "../../../grpc/index.ts";
import { buildFlags } from "../build/flags.ts";
import { findContext } from "../build/context.ts";
import { renderFailure } from "../build/error.ts";
import { type BuildOptions, planBuild } from "../build/options.ts";
import { PlainDisplay } from "../build/plain.ts";
import { type BuildRun, runBuild, StepTails } from "../build/solve.ts";
import type { BuildDisplay, BuildStatus, WarningStatus } from "../build/status.ts";
import { TtyDisplay } from "../build/tty.ts";
import { CliError, type Command, type CommandContext } from "../command.ts";
import { escapeControls } from "../escape.ts";

export const command: Command = {
  usage: "[OPTIONS] PATH | URL | -",
  flags: buildFlags,
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const options = planBuild(flags, context.env);
    using source = await findContext(
      flags.positional[0] ?? "",
      flags.string("file"),
      process.stdin as AsyncIterable<Buffer>,
    );
    const warnings: WarningStatus[] = [];
    const display = noting(chooseDisplay(context, options), warnings);
    const tails = new StepTails();
    const stop = new AbortController();
    const interrupt = (): void => stop.abort();
    process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
    let run: BuildRun;
    try {
      run = await runBuild(context, options, source, display, tails, stop.signal);
    } catch (error) {
      if (stop.signal.aborted)
        throw new CliError("ERROR: failed to solve: Canceled: context canceled", { exitCode: 130 });
      if (!(error instanceof GrpcError)) throw error;
      const { text, stepId } = renderFailure(error, (digest) => tails.get(digest));
      context.err(text);
      if (flags.bool("debug") && stepId !== undefined) return openShell(context, stepId);
      if (stepId !== undefined)
        context.err(
          `The state before the step is kept for an hour. To look at it: gantry run -it --rm ${shortId(stepId)} sh\n`,
        );
      return 1;
    } finally {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    }
    if (options.question !== undefined) return showAnswer(context, run);
    await report(context, flags.string("iidfile"), flags.string("metadata-file"), options, run);
    if (warnings.length > 0 && options.progress !== "quiet") context.err(renderWarnings(warnings));
    return 0;
  },
};

function chooseDisplay(context: CommandContext, options: BuildOptions): BuildDisplay {
  if (options.progress === "quiet" || options.question !== undefined)
    return { show: () => undefined, end: () => undefined };
  const tty =
    options.progress === "tty" ||
    (options.progress === "auto" && process.stderr.isTTY && context.env["TERM"] !== "dumb");
  if (!tty) return new PlainDisplay((text) => context.err(text));
  return new TtyDisplay({
    write: (text) => context.err(text),
    size: () => ({ rows: process.stderr.rows || 24, columns: process.stderr.columns || 80 }),
    nowNs: () => BigInt(Date.now()) * 1_000_000n,
    color: context.env["NO_COLOR"] === undefined,
  });
}

function noting(display: BuildDisplay, warnings: WarningStatus[]): BuildDisplay {
  return {
    show: (status: BuildStatus) => {
      warnings.push(...status.warnings);
      display.show(status);
    },
    end: () => display.end(),
  };
}

function renderWarnings(warnings: readonly WarningStatus[]): string {
  const lines = warnings.map(
    ({ short, lines: [first] }) => ` - ${escapeControls(short)}${first === undefined ? "" : ` (line ${first[0]})`}`,
  );
  const count = warnings.length === 1 ? "1 warning" : `${warnings.length} warnings`;
  return `\n ${count} found (use gantry build --check to see all of it):\n${lines.join("\n")}\n`;
}

async function report(
  context: CommandContext,
  iidFile: string,
  metadataFile: string,
  options: BuildOptions,
  { ref, response }: BuildRun,
): Promise<void> {
  const id = response.get("containerimage.config.digest") ?? response.get("containerimage.digest") ?? "";
  if (iidFile !== "" && id !== "") writeFileSync(iidFile, id);
  if (metadataFile !== "") {
    const entries = [...response].map(([key, value]) => [key, key.endsWith("descriptor") ? decode(value) : value]);
    const metadata = { "buildx.build.ref": ref, ...Object.fromEntries(entries) };
    writeFileSync(metadataFile, `${JSON.stringify(metadata, undefined, 2)}\n`);
  }
  if (options.progress === "quiet" && id !== "") await context.out(`${id}\n`);
}

/** Descriptors travel as base64 of JSON. */
function decode(text: string): unknown {
  return JSON.parse(Buffer.from(text, "base64").toString());
}

async function showAnswer(context: CommandContext, { answer }: BuildRun): Promise<number> {
  const text = answer.get("result.txt");
  if (text === undefined) throw new CliError("the daemon does not answer such questions");
  const shown = Buffer.from(text).toString();
  await context.out(shown.endsWith("\n") ? shown : `${shown}\n`);
  return answer.get("result.statuscode") === undefined
    ? 0
    : Number(Buffer.from(answer.get("result.statuscode") ?? "0"));
}

function shortId(stepId: string): string {
  return escapeControls(stepId.slice(0, 12));
}

/** A shell where the step would have begun. */
function openShell({ client }: CommandContext, stepId: string): number {
  const argv = [
    ...process.execArgv,
    process.argv[1] ?? "",
    "-H",
    client.host,
    "run",
    "-it",
    "--rm",
    "--entrypoint",
    "sh",
    stepId,
  ];
  return spawnSync(process.execPath, argv, { stdio: "inherit" }).status ?? 1;
}
