// How much was copied, on stderr: a line that is written over on a terminal, and a sentence at the end. Source: the docker CLI 28.

import { renderHumanSize } from "../../../base/units.ts";
import type { CommandContext } from "../command.ts";
import { escapeControls } from "../escape.ts";

const updateMs = 75;

/** Counts bytes, and shows them unless it is quiet. */
export class CopyProgress {
  readonly #context: CommandContext;
  readonly #quiet: boolean;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #onSignal: (() => void) | undefined;

  constructor(context: CommandContext, quiet: boolean) {
    this.#context = context;
    this.#quiet = quiet;
  }

  /** @param header "Copying to container - " */
  start(header: string): void {
    if (this.#quiet || !process.stderr.isTTY) return;
    const { err } = this.#context;
    err("\x1b7Preparing to copy...");
    err(`\x1b[?25l\x1b8\x1b[2K${header}${renderHumanSize(0)}`);
    let shown = 0;
    this.#timer = setInterval(() => {
      if (this.#bytes === shown) return;
      shown = this.#bytes;
      err(`\x1b[${header.length + 1}G\x1b[K${renderHumanSize(shown)}`);
    }, updateMs);
    this.#onSignal = () => {
      this.#clear();
      process.exit(130);
    };
    process.once("SIGINT", this.#onSignal);
  }

  #clear(): void {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    if (this.#onSignal !== undefined) process.off("SIGINT", this.#onSignal);
    this.#context.err("\x1b[?25h\x1b8\x1b[2K");
  }

  /** Hands a stream through. */
  async *count(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, undefined> {
    for await (const piece of stream) {
      this.#bytes += piece.length;
      yield piece;
    }
  }

  /** Says what was copied; before a failure too, as docker does. */
  finish(target: string): void {
    this.#clear();
    if (this.#quiet) return;
    this.#context.err(`Successfully copied ${renderHumanSize(this.#bytes, 3)} to ${escapeControls(target)}\n`);
  }
}
