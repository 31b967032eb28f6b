// Where the engine's own programs and the image that it brings are: beside the bundle, or in the source tree.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Programs {
  readonly shim: string;
  readonly unpack: string;
  readonly pack: string;
  readonly copy: string;
  readonly archive: string;
  /** Archive of the embedded image; may not be there in a source tree that was never built. */
  readonly embeddedImage: string;
}

export function findPrograms(): Programs {
  const isSource = import.meta.url.endsWith("/daemon/programs.ts");
  const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
  const dir = isSource ? at("../../../shim/build") : at("./libexec");
  return {
    shim: `${dir}/gantry-shim`,
    unpack: `${dir}/gantry-unpack`,
    pack: `${dir}/gantry-pack`,
    copy: `${dir}/gantry-copy`,
    archive: `${dir}/gantry-archive`,
    embeddedImage: isSource ? at("../../../dist/images/busybox.tar") : at("./images/busybox.tar"),
  };
}

/** What is missing, as a text for the operator; undefined when all is there. */
export function complainAboutPrograms(programs: Programs): string | undefined {
  const missing = [programs.shim, programs.unpack, programs.pack, programs.copy, programs.archive].filter(
    (path) => !existsSync(path),
  );
  return missing.length === 0 ? undefined : `${missing.join(" and ")} missing: run script/setup (or make -C shim)`;
}
