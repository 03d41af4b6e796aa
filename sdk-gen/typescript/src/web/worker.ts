// What runs in the worker of checksums.ts.

import { type Reply, type Request, checksumsHere } from "./checksums-here.js";

const checksums = checksumsHere();

addEventListener("message", ({ data: { id, blob } }: MessageEvent<Request>) => {
  checksums(blob).then(
    (crcs) => postMessage({ id, crcs } satisfies Reply),
    (error: unknown) => {
      const failure = error instanceof DOMException ? error.name : "NotReadableError";
      postMessage({ id, failure } satisfies Reply);
    },
  );
});
