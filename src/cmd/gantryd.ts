// gantryd: argv → main → exit status. The process ends itself: threads and sockets that are still open do not keep it.

import { main } from "../engine/daemon/main.ts";

process.exit(await main(process.argv.slice(2)));
