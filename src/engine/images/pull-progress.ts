// What a pull says of one layer, in dockerd's words and at its pace: at most ten times a second, and always at the end.
// Unlike dockerd, layers are unpacked while they are downloaded: that is told of once the download is complete.

import type { Digest } from "../../base/digest.ts";
import type { ProgressMessage } from "../api/ports.ts";
import type { DownloadWatcher } from "./pull-downloads.ts";
import { renderProgress } from "./progress.ts";

const intervalMs = 100;
const stepBytes = 512 << 10;

export class LayerProgress implements DownloadWatcher {
  readonly #id: string;
  readonly #size: number;
  readonly #tell: (message: ProgressMessage) => void;
  #toldAt = -Infinity;
  #toldBytes = 0;
  #downloaded = false;

  constructor(digest: Digest, size: number, tell: (message: ProgressMessage) => void) {
    this.#id = digest.slice("sha256:".length, "sha256:".length + 12);
    this.#size = size;
    this.#tell = tell;
  }

  /** A word without numbers. */
  say(status: string): void {
    this.#tell({ status, progressDetail: {}, id: this.#id });
  }

  onWait(): void {
    this.say("Waiting");
  }

  onBytes(current: number): void {
    this.#report("Downloading", current);
  }

  onVerify(): void {
    this.say("Verifying Checksum");
  }

  onRetry(seconds: number): void {
    this.say(`Retrying in ${seconds} second${seconds === 1 ? "" : "s"}`);
  }

  /** All bytes are here. */
  complete(): void {
    if (this.#downloaded) return;
    this.#downloaded = true;
    this.#toldAt = -Infinity;
    this.#toldBytes = 0;
    this.say("Download complete");
  }

  /** @param current compressed bytes that were unpacked */
  extracting(current: number): void {
    if (this.#downloaded) this.#report("Extracting", current);
  }

  /** It is unpacked. */
  end(): void {
    this.complete();
    if (this.#toldBytes < this.#size || this.#size === 0) this.#report("Extracting", this.#size);
    this.say("Pull complete");
  }

  #report(status: string, current: number): void {
    const now = performance.now();
    const isLast = current >= this.#size;
    if (isLast ? this.#toldBytes === current && current > 0 : current - this.#toldBytes < this.#step) return;
    if (!isLast && now - this.#toldAt < intervalMs) return;
    this.#toldAt = now;
    this.#toldBytes = current;
    this.#tell(renderProgress(status, this.#id, current, this.#size));
  }

  /** Every hundredth, or every 512 KiB where that is less. */
  get #step(): number {
    return Math.min(stepBytes, this.#size / 100);
  }
}
