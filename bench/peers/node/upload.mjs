// Uploads one file COUNT times, PARALLEL at a time, with tus-js-client:
//
//   node upload.mjs '{"endpoint": …, "file": …, "count": 1, "parallel": 1}'
//
// chunkSize (bytes) sends more than one request for each file, memory keeps a
// small file in memory and sends it with the request that creates the upload,
// and urls names a file that remembers uploads, so that the next process can go
// on. Says how long it took, from the first request to the last answer, and the
// CPU time of that.
import { createReadStream, readFileSync } from 'node:fs';
import { FileUrlStorage, Upload } from 'tus-js-client';

const { endpoint, file, count, parallel, chunkSize, memory, urls } = JSON.parse(process.argv[2]);
const content = memory ? readFileSync(file) : undefined;

function upload(index) {
  return new Promise((resolve, reject) => {
    const upload = new Upload(content ?? createReadStream(file), {
      endpoint,
      chunkSize: chunkSize ?? Infinity,
      uploadDataDuringCreation: Boolean(memory),
      retryDelays: [0, 100, 200, 400, 800, 1600],
      metadata: { filename: String(index) },
      storeFingerprintForResuming: Boolean(urls),
      ...(urls && { urlStorage: new FileUrlStorage(urls) }),
      onSuccess: resolve,
      onError: reject,
    });
    if (!urls) return upload.start();
    upload.findPreviousUploads().then((previous) => {
      if (previous.length > 0) upload.resumeFromPreviousUpload(previous[0]);
      upload.start();
    }, reject);
  });
}

process.on('uncaughtException', (error) => {
  console.error(`tus-js-client: ${error.message}`);
  process.exit(1);
});

const cpu = process.cpuUsage();
const started = performance.now();
let next = 0;
async function work() {
  while (next < count) await upload(next++);
}
await Promise.all(Array.from({ length: parallel }, work));
const seconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
console.log(`done ${JSON.stringify({ seconds, cpu_seconds: (user + system) / 1e6 })}`);
