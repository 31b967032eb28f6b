// gantryd: argv → main → exit status. The process ends itself: threads and sockets that are still open do not keep it.

import { main } from "../engine/daemon/main.ts";

// No top-level await: the bundle is a CommonJS module, which starts faster (tools/build.ts).
void main(process.argv.slice(2)).then((code) => process.exit(code));
