// The checksums of a blob's frames, computed in a worker so that the page stays quick.

import { type Checksums, type Reply, type Request, checksumsHere } from "./checksums-here.js";
import { workerSource } from "./worker-source.js";

interface Waiting {
  readonly blob: Blob;
  readonly resolve: (crcs: number[]) => void;
  readonly reject: (error: Error) => void;
}

/** Computes in a worker; here instead where the page may have none. */
export function checksumsInWorker(): Checksums {
  let worker: Worker | undefined;
  let here: Checksums | undefined;
  const waiting = new Map<number, Waiting>();

  const refused = () => {
    worker?.terminate();
    worker = undefined;
    here ??= checksumsHere();
    for (const [id, { blob, resolve, reject }] of waiting) {
      waiting.delete(id);
      here(blob).then(resolve, reject);
    }
  };
  const start = () => {
    // Part of this module, so that it needs no address of its own and survives every bundler.
    const url = URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" }));
    try {
      worker = new Worker(url);
    } catch {
      return refused();
    }
    // A content security policy refuses it only now.
    worker.onerror = refused;
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      URL.revokeObjectURL(url);
      const request = waiting.get(data.id);
      waiting.delete(data.id);
      if (data.crcs) request?.resolve(data.crcs);
      else request?.reject(new DOMException("the file cannot be read", data.failure));
    };
  };

  let lastId = 0;
  return (blob) => {
    if (here) return here(blob);
    return new Promise((resolve, reject) => {
      const id = ++lastId;
      waiting.set(id, { blob, resolve, reject });
      if (!worker) start();
      worker?.postMessage({ id, blob } satisfies Request);
    });
  };
}
