// Progress while the picture is made: node event_stream.mjs
//
// `EventSource` can't send a body, so the events of the POST are read from its stream. Only the last lines need Node.

const url = globalThis.process?.env.BRIDGE_URL ?? "http://127.0.0.1:8189";
const key = globalThis.process?.env.COMFYBRIDGE_API_KEY;

/** The events of a stream: [name, data] each. */
async function* events(answer) {
  let text = "";
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
      if (fields.event) yield [fields.event, JSON.parse(fields.data)]; // the others keep the connection awake
    }
  }
}

async function generate(body, onProgress) {
  const answer = await fetch(`${url}/generate`, {
    method: "POST",
    headers: { Accept: "text/event-stream", ...(key && { "X-API-Key": key }) },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error((await answer.json()).error); // it was wrong from the beginning
  for await (const [name, data] of events(answer)) {
    if (name === "progress") onProgress(data);
    if (name === "error") throw new Error(data.error);
    if (name === "result") return data;
  }
  throw new Error("The answer was cut off.");
}

const { writeFile } = await import("node:fs/promises");
try {
  const result = await generate({ prompt: "a cat", steps: 12, seed: 7 }, ({ percent, class_type }) =>
    console.error(`${percent.toFixed(0)} % ${class_type}`),
  );
  await writeFile("cat.png", Buffer.from(result.images[0], "base64"));
  console.log("cat.png");
} catch (error) {
  console.error(error.cause?.message ?? error.message); // fetch says why it failed in the cause
  process.exit(1);
}
