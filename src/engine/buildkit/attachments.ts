// What builds recorded beside their history (provenance), read as blobs of a content store: `docker buildx history inspect` and
// compose do. Nothing can be written.

import { codes, GrpcError, implement, type Implementation } from "../../grpc/index.ts";
import { Content } from "../../spec/buildkit/content.ts";
import type { BuildHistory } from "../build/index.ts";

const chunkBytes = 1024 * 1024;

export function createAttachments(history: BuildHistory): Implementation {
  return implement(Content, {
    async Info({ digest }) {
      return { info: { digest, size: (await history.attachment(digest)).length } };
    },
    async *Read({ digest, offset, size }) {
      const blob = await history.attachment(digest);
      if (offset < 0 || offset > blob.length || size < 0)
        throw new GrpcError(
          codes.outOfRange,
          `offset ${offset} is outside of ${digest}, which has ${blob.length} bytes`,
        );
      const end = size === 0 ? blob.length : Math.min(blob.length, offset + size);
      for (let at = offset; at < end; at += chunkBytes)
        yield { offset: at, data: blob.subarray(at, Math.min(end, at + chunkBytes)) };
    },
  });
}
