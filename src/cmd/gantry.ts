// The CLI's entry: argv in, exit code out.

import { main } from "../apps/cli/main.ts";

// `gantry … | head` closes the pipe: no error, as with SIGPIPE.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(141);
});

// No top-level await: the bundle is a CommonJS module, which starts faster (tools/build.ts).
void main(process.argv.slice(2)).then((code) => process.exit(code));
