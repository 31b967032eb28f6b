// `gantry logs`: what a container wrote, byte for byte. Source: the docker CLI 28.

import { StdcopyDemuxer } from "../../../client/stdcopy.ts";
import { containerLogs, inspectContainerRaw } from "../../../client/containers.ts";
import { CliError, type Command } from "../command.ts";
import { renderTimestamp } from "../timestamp.ts";

function timeOf(flag: string, text: string, nowMs: number): string | undefined {
  if (text === "") return undefined;
  try {
    return renderTimestamp(text, nowMs);
  } catch (error) {
    throw new CliError(`invalid value for ${JSON.stringify(flag)}: ${(error as Error).message}`);
  }
}

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  flags: [
    { name: "details", kind: "bool", usage: "Show the log options' attributes before each line" },
    { name: "follow", short: "f", kind: "bool", usage: "Go on with what is written from now on" },
    { name: "since", kind: "string", usage: 'Show from this time on ("2013-01-02T13:23:37Z", or "42m" ago)' },
    { name: "tail", short: "n", kind: "string", default: "all", usage: "Number of last lines to show" },
    { name: "timestamps", short: "t", kind: "bool", usage: "Show the time of each line" },
    { name: "until", kind: "string", usage: 'Show up to this time ("2013-01-02T13:23:37Z", or "42m" ago)' },
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [name = ""] = flags.positional;
    const nowMs = Date.now();
    const { value } = await inspectContainerRaw(context.client, name);
    const since = timeOf("since", flags.string("since"), nowMs);
    const until = timeOf("until", flags.string("until"), nowMs);
    const response = await containerLogs(context.client, value.Id ?? name, {
      stdout: 1,
      stderr: 1,
      details: flags.bool("details") ? 1 : undefined,
      follow: flags.bool("follow") ? 1 : undefined,
      since,
      until,
      tail: flags.string("tail"),
      timestamps: flags.bool("timestamps") ? 1 : undefined,
    });
    const pending: Promise<void>[] = [];
    const demuxer = new StdcopyDemuxer((stream, bytes) => {
      if (stream === 1) pending.push(context.out(bytes));
      else pending.push(context.errDrained(bytes));
    });
    for await (const chunk of response.body) {
      if (value.Config?.Tty === true) pending.push(context.out(chunk));
      else demuxer.push(chunk);
      await Promise.all(pending.splice(0));
    }
    return 0;
  },
};
