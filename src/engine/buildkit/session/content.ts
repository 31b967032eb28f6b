// Blobs at a client, by containerd's content service: OCI layouts as contexts, local caches. What is read is checked against its
// digest: the client's word is none.

import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { EngineError, isEngineError } from "../../../base/errors.ts";
import type { GrpcClient } from "../../../grpc/index.ts";
import { Content, writeActions } from "../../../spec/buildkit/content.ts";
import type { ClientContentStore } from "../../build/client.ts";

const maxChunkBytes = 1024 * 1024;

export function contentStoreOf(client: GrpcClient, id: string): ClientContentStore {
  const options = { metadata: { "buildkit-attachable-store-id": id } };
  const info = async (digest: string, signal: AbortSignal): Promise<{ readonly size: number } | undefined> => {
    try {
      const answer = await client.unary(Content.methods.Info, { digest }, options, signal);
      return { size: answer.info?.size ?? 0 };
    } catch (error) {
      if (isEngineError(error, "NotFound")) return undefined;
      throw error;
    }
  };
  return {
    info,
    async read(digest, signal) {
      const messages = client.serverStream(Content.methods.Read, { digest }, options, signal)[Symbol.asyncIterator]();
      // The first message tells whether it is there.
      const first = await messages.next();
      async function* bytes(): AsyncGenerator<Uint8Array> {
        const hash = createHash("sha256");
        try {
          for (let next = first; next.done !== true; next = await messages.next()) {
            hash.update(next.value.data);
            if (next.value.data.length > 0) yield next.value.data;
          }
        } finally {
          await messages.return?.();
        }
        if (`sha256:${hash.digest("hex")}` !== digest)
          throw new EngineError("DataLoss", `the client's content of ${digest} is something else`);
      }
      return Readable.from(bytes(), { objectMode: false });
    },
    async write(digest, size, data, signal) {
      if ((await info(digest, signal)) !== undefined) {
        data.destroy();
        return;
      }
      const call = client.bidi(Content.methods.Write, options, signal);
      const answers = call.responses[Symbol.asyncIterator]();
      const ref = `gantry-${digest}`;
      const exchange = async (request: Parameters<typeof call.send>[0]): Promise<number> => {
        await call.send(request);
        const answer = await answers.next();
        if (answer.done === true) throw new EngineError("Unavailable", `the client takes no more of ${digest}`);
        return answer.value.offset;
      };
      try {
        // What an earlier attempt left there is overwritten: the write begins at 0.
        await exchange({ action: writeActions.stat, ref, total: size, expected: digest });
        let offset = 0;
        for await (const chunk of data as AsyncIterable<Buffer>)
          for (let start = 0; start < chunk.length; start += maxChunkBytes) {
            const part = chunk.subarray(start, start + maxChunkBytes);
            await exchange({ action: writeActions.write, ref, total: size, expected: digest, offset, data: part });
            offset += part.length;
          }
        await exchange({ action: writeActions.commit, ref, total: size, expected: digest, offset });
        call.end();
      } catch (error) {
        // Somebody else was faster.
        if (!isEngineError(error, "Conflict")) throw error;
      } finally {
        data.destroy();
        call.cancel();
      }
    },
  };
}
