// Notes beside a command's output: " Info -> text", in colours on a terminal that has them. Source: the docker CLI 28.

type Env = Readonly<Record<string, string | undefined>>;

/** The note with its lines aligned, an empty line before it. */
export function renderNote(text: string, isTerminal: boolean, env: Env): string {
  const lines = text.split("\n");
  const plain = !isTerminal || (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  if (plain) return `\n Info -> ${lines.join("\n         ")}\n`;
  const body = lines.map((line) => `\x1b[3m${line}\x1b[0m`).join(`\n${" ".repeat(9)}`);
  return `\n\x1b[1m\x1b[106m\x1b[30mi\x1b[0m\x1b[0m \x1b[96mInfo → \x1b[0m\x1b[0m${body}\n`;
}
