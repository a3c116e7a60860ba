// Uploads a file with tus-js-client, or goes on with an upload; prints where and how far.
//
//     node upload.mjs COLLECTION TOKEN FILE CHUNK_SIZE STOP_AFTER UPLOAD WITH_CREATION
//
// STOP_AFTER 0 is the file's end, else it is cut off after so many bytes; UPLOAD may be empty for a new one. The package's
// folder stands in TUS_JS_CLIENT.
import { createReadStream, statSync } from "node:fs";
import { createRequire } from "node:module";
import { basename } from "node:path";

const { Upload } = createRequire(import.meta.url)(process.env.TUS_JS_CLIENT);
const [collection, token, path, chunkSize, stopAfter, upload, withCreation] = process.argv.slice(2);

const finished = await new Promise((resolve, reject) => {
  const task = new Upload(createReadStream(path), {
    endpoint: collection,
    uploadUrl: upload || undefined,
    headers: { Authorization: `Bearer ${token}` },
    chunkSize: Number(chunkSize),
    uploadSize: statSync(path).size,
    uploadDataDuringCreation: withCreation === "yes",
    metadata: { filename: basename(path), filetype: "text/plain" },
    retryDelays: null,
    onChunkComplete: (_size, accepted) => {
      if (Number(stopAfter) && accepted >= Number(stopAfter)) {
        task.abort().then(() => resolve({ url: task.url, offset: accepted }), reject);
      }
    },
    onSuccess: () => resolve({ url: task.url, offset: statSync(path).size }),
    onError: reject,
  });
  task.start();
});
process.stdout.write(JSON.stringify(finished), () => process.exit(0));
