// A picture with fetch: node node.mjs

import { writeFile } from "node:fs/promises";

const url = process.env.BRIDGE_URL ?? "http://127.0.0.1:8189";
const key = process.env.COMFYBRIDGE_API_KEY;

const answer = await fetch(`${url}/generate`, {
  method: "POST",
  headers: { Accept: "image/*", "Content-Type": "application/json", ...(key && { "X-API-Key": key }) },
  // Node's fetch gives up where no answer begins for 300 s
  body: JSON.stringify({ prompt: "a cat", steps: 12, seed: 7, timeout: 290 }),
}).catch((error) => {
  console.error(`${url} does not answer: ${error.cause?.message ?? error.message}`);
  process.exit(1);
});
if (!answer.ok) {
  const { type, error } = await answer.json();
  console.error(`${type}: ${error}`);
  process.exit(1);
}
await writeFile("cat.png", Buffer.from(await answer.arrayBuffer()));
console.log("cat.png", answer.headers.get("X-Seed"));
