// The CLI's entry: argv in, exit code out.

import { main } from "../apps/cli/main.ts";

// `gantry … | head` closes the pipe: no error, as with SIGPIPE.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(141);
});

process.exit(await main(process.argv.slice(2)));
