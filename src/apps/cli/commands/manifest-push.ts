// `gantry manifest push`: the images of a list by digest (their blobs mounted or copied where the repository is another), then
// the list itself under its name. Source: the docker CLI 28.

import { CliError, type Command } from "../command.ts";
import { blobsOf, renderList } from "../manifest/documents.ts";
import { parseManifestReference, RegistryAccess } from "../manifest/registry-access.ts";
import { ManifestStore } from "../manifest/store.ts";

export const command: Command = {
  usage: "[OPTIONS] MANIFEST_LIST",
  flags: [
    { name: "insecure", kind: "bool", usage: "Allow a registry without valid TLS" },
    { name: "purge", short: "p", kind: "bool", usage: "Remove the list here after it was pushed" },
  ],
  args: { min: 1, max: 1 },
  async run(context, flags) {
    const [list = ""] = flags.positional;
    const store = new ManifestStore(context.configDir);
    const { named, whole } = parseManifestReference(list);
    const images = store.mustList(whole);
    const { text, mediaType } = renderList(images);
    const sources = images.map((image) => ({ image, from: parseManifestReference(image.Ref).named }));
    for (const { from } of sources)
      if (from.domain !== named.domain)
        throw new CliError(
          `cannot use source images from a different registry than the target image: ${from.domain} != ${named.domain}`,
        );
    using registry = new RegistryAccess(context, flags.bool("insecure") ? [named.domain] : []);
    const target = await registry.repository(named, "push");
    for (const { image, from } of sources) {
      if (from.path !== named.path) for (const blob of blobsOf(image)) await registry.place(target, blob, from);
      const { digest, mediaType: imageType } = image.Descriptor;
      const pushed = await registry.put(target, digest, Buffer.from(image.Raw, "base64"), imageType);
      await context.out(`Pushed ref ${named.domain}/${named.path}@${digest} with digest: ${pushed}\n`);
    }
    await context.out(`${await registry.put(target, named.tag ?? "latest", Buffer.from(text, "utf8"), mediaType)}\n`);
    if (flags.bool("purge")) store.remove(whole);
    return 0;
  },
};
