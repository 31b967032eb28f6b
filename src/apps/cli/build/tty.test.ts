import assert from "node:assert/strict";
import { test } from "node:test";
import type { BuildStatus, VertexStatus } from "./status.ts";
import { TtyDisplay } from "./tty.ts";

function vertex(name: string, changes: Partial<VertexStatus> = {}): VertexStatus {
  return { digest: name, name, cached: false, error: "", startedNs: 0n, completedNs: undefined, ...changes };
}

function status(changes: Partial<BuildStatus>): BuildStatus {
  return { vertexes: [], tasks: [], logs: [], warnings: [], ...changes };
}

const tokens = new RegExp(String.raw`\x1b\[\d*[A-Za-z]|[\s\S]`, "g");
const control = new RegExp(String.raw`^\x1b\[(\d*)([A-Za-z])$`);

/** A screen that knows what the display writes: text, newline, cursor up, clear to the end of a line and of the screen. */
class Screen {
  readonly lines: string[] = [""];
  #row = 0;
  #column = 0;

  write(text: string): void {
    for (const [token] of text.matchAll(tokens)) {
      const sequence = control.exec(token);
      if (sequence !== null) this.#control(sequence[2] ?? "", Number(sequence[1] ?? 0));
      else if (token === "\n") {
        this.#row++;
        this.#column = 0;
        this.lines[this.#row] ??= "";
      } else if (token === "\r") this.#column = 0;
      else {
        const line = (this.lines[this.#row] ?? "").padEnd(this.#column);
        this.lines[this.#row] = line.slice(0, this.#column) + token + line.slice(this.#column + 1);
        this.#column++;
      }
    }
  }

  #control(letter: string, count: number): void {
    if (letter === "A") this.#row = Math.max(0, this.#row - count);
    else if (letter === "K") this.lines[this.#row] = (this.lines[this.#row] ?? "").slice(0, this.#column);
    else if (letter === "J") {
      this.lines.length = this.#row + 1;
      this.lines[this.#row] = (this.lines[this.#row] ?? "").slice(0, this.#column);
    } else if (letter !== "m") assert.fail(`the display wrote ${letter}`);
  }

  get text(): string {
    return this.lines.join("\n");
  }
}

test("a frame is drawn over the last one, and the final one stays with everything", ({ mock }) => {
  mock.timers.enable({ apis: ["setInterval"] });
  const screen = new Screen();
  let now = 0n;
  const display = new TtyDisplay({
    write: (text) => screen.write(text),
    size: () => ({ rows: 24, columns: 40 }),
    nowNs: () => now,
    color: true,
  });
  display.show(
    status({
      vertexes: [vertex("RUN make")],
      logs: [{ vertex: "RUN make", atNs: 0n, data: Buffer.from("cc main.c\n") }],
    }),
  );
  now = 1_500_000_000n;
  mock.timers.tick(100);
  assert.equal(screen.text, `[+] Building 1.5s (0/1)\n => RUN make${" ".repeat(22)} 1.5s\n => => # cc main.c\n`);
  display.show(
    status({
      vertexes: [
        vertex("RUN make", { completedNs: 2_000_000_000n }),
        vertex("RUN a very long command, longer than the line", {
          startedNs: 1_000_000_000n,
          completedNs: 2_000_000_000n,
        }),
      ],
    }),
  );
  display.end();
  assert.equal(
    screen.text,
    `[+] Building 1.5s (2/2) FINISHED\n => RUN make${" ".repeat(22)} 2.0s\n => RUN a very long command, long… 1.0s\n`,
  );
  mock.timers.tick(1000);
  assert.equal(screen.lines.length, 4, "nothing is drawn after the end");
});

test("a frame is no higher than the terminal, and finds its beginning in one that became narrower", ({ mock }) => {
  mock.timers.enable({ apis: ["setInterval"] });
  const written: string[] = [];
  let columns = 40;
  const display = new TtyDisplay({
    write: (text) => written.push(text),
    size: () => ({ rows: 5, columns }),
    nowNs: () => 0n,
    color: false,
  });
  display.show(status({ vertexes: Array.from({ length: 9 }, (_, n) => vertex(`RUN ${n}`)) }));
  mock.timers.tick(100);
  assert.equal(written.at(-1)?.split("\n").length, 5);
  columns = 20;
  mock.timers.tick(100);
  // Three full lines were broken in two, the head was as well; the top of the terminal is as far as it goes.
  assert.ok(written.at(-1)?.startsWith("\u001B[4A\r"), JSON.stringify(written.at(-1)));
  for (const line of (written.at(-1) ?? "").replace("\u001B[4A\r", "").split("\n"))
    assert.ok(line.replaceAll("\u001B[K", "").replaceAll("\u001B[J", "").length <= 20, JSON.stringify(line));
  display.end();
});

test("what a step writes cannot move the cursor", ({ mock }) => {
  mock.timers.enable({ apis: ["setInterval"] });
  const screen = new Screen();
  const display = new TtyDisplay({
    write: (text) => screen.write(text),
    size: () => ({ rows: 24, columns: 80 }),
    nowNs: () => 0n,
    color: false,
  });
  const data = Buffer.from("\u001B[2J\u001B]0;title\u0007evil\n");
  display.show(status({ vertexes: [vertex("RUN x")], logs: [{ vertex: "RUN x", atNs: 0n, data }] }));
  mock.timers.tick(100);
  assert.match(screen.text, /evil/);
  display.end();
});
