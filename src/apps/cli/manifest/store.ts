// The manifest lists that are being put together: a directory per list in the client's configuration directory, a file per
// image, as docker keeps them; either program goes on with the other's. Source: the docker CLI 28, cli/manifest/store.

import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "../command.ts";
import { renderGoJson, type ImageManifest } from "./documents.ts";

function fileName(reference: string): string {
  return reference.replaceAll(":", "-").replaceAll("/", "_");
}

function noSuch(reference: string): CliError {
  return new CliError(`No such manifest: ${reference}`);
}

/** Names are whole references: "docker.io/library/x:latest". */
export class ManifestStore {
  readonly #root: string;

  constructor(configDir: string) {
    this.#root = join(configDir, "manifests");
  }

  #directory(list: string): string {
    return join(this.#root, fileName(list));
  }

  #read(path: string, reference: string): ImageManifest {
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") throw noSuch(reference);
      throw error;
    }
    try {
      return JSON.parse(text) as ImageManifest;
    } catch {
      throw new CliError(`${path} is damaged: remove the list with manifest rm`);
    }
  }

  /** Images of a list by file name, or undefined when there is no such list. */
  list(list: string): readonly ImageManifest[] | undefined {
    const directory = this.#directory(list);
    if (statSync(directory, { throwIfNoEntry: false }) === undefined) return undefined;
    const names = readdirSync(directory).filter((name) => !name.startsWith("."));
    return names.length === 0 ? undefined : names.sort().map((name) => this.#read(join(directory, name), list));
  }

  /** @throws CliError "No such manifest: …" */
  mustList(list: string): readonly ImageManifest[] {
    const images = this.list(list);
    if (images === undefined) throw noSuch(list);
    return images;
  }

  /** @throws CliError "No such manifest: …" */
  get(list: string, reference: string): ImageManifest {
    return this.#read(join(this.#directory(list), fileName(reference)), reference);
  }

  has(list: string, reference: string): boolean {
    const path = join(this.#directory(list), fileName(reference));
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  }

  save(list: string, reference: string, image: ImageManifest): void {
    const directory = this.#directory(list);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    const temporary = join(directory, `.${process.pid}.tmp`);
    writeFileSync(temporary, renderGoJson(image, ""), { mode: 0o644 });
    renameSync(temporary, join(directory, fileName(reference)));
  }

  remove(list: string): void {
    rmSync(this.#directory(list), { recursive: true, force: true });
  }
}
