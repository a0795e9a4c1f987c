/** A request as a program that sends the same: for bash with curl, Python with requests, and Node.js. */

import { writeExactly } from "./exact_json.js";

/** @typedef {import("./request.js").SentRequest} SentRequest */

/**
 * @typedef {object} Target
 * @property {string} base the bridge's address, with a slash at its end.
 * @property {boolean} needsKey whether the bridge wants a key; programs take it from COMFYBRIDGE_API_KEY.
 */

const KEY = "COMFYBRIDGE_API_KEY";
// Linux takes no longer argument of a command: 128 KiB, its end included.
const LONGEST_ARGUMENT = 100_000;
const SAID =
  "The page sent this too, with two more headers: Accept: text/event-stream, and an Idempotency-Key.\n" +
  "Without them the answer comes as JSON, once all is there, and each call runs anew.";

/** @type {{name: string, write: (request: SentRequest, target: Target) => string}[]} */
export const LANGUAGES = [
  { name: "curl", write: asCurl },
  { name: "Python", write: asPython },
  { name: "JavaScript", write: asJavaScript },
];

/** @param {SentRequest} request @param {Target} target @returns {string} for bash. */
function asCurl(request, { base, needsKey }) {
  const { bodyText, files } = request;
  const isLong = new TextEncoder().encode(bodyText).length > LONGEST_ARGUMENT;
  const parts = [`curl ${quoted(`${base}generate`)}`];
  if (needsKey) parts.push(`-H "Authorization: Bearer $${KEY}"`);
  if (files.length) {
    parts.push(isLong ? "-F 'request=<-'" : `--form-string ${quoted(`request=${bodyText}`)}`);
    parts.push(...files.map(({ name, file }) => `-F ${quoted(`${name}=@${curlName(file.name)}`)}`));
  } else {
    parts.push("-H 'Content-Type: application/json'");
    parts.push(isLong ? "--data-binary @-" : `--data-raw ${quoted(bodyText)}`);
  }
  const command = parts.join(" \\\n  ");
  return `${comment(SAID, "#")}${isLong ? `${command} <<'END'\n${bodyText}\nEND` : command}\n`;
}

/** @param {SentRequest} request @param {Target} target @returns {string} */
function asPython({ body, files }, { base, needsKey }) {
  const imports = [...(files.length ? ["json"] : []), ...(needsKey ? ["os"] : [])];
  const given = [
    text(`${base}generate`),
    ...(needsKey ? [`headers={"Authorization": "Bearer " + os.environ["${KEY}"]}`] : []),
    ...(files.length
      ? [
          'data={"request": json.dumps(body)}',
          `files={${files.map(({ name, file }) => `${text(name)}: open(${text(file.name)}, "rb")`).join(", ")}}`,
        ]
      : ["json=body"]),
  ];
  return [
    comment(SAID, "#"),
    ...imports.map((name) => `import ${name}\n`),
    imports.length ? "\n" : "",
    "import requests\n\n",
    `body = ${literal(body, PYTHON)}\n`,
    `answer = requests.post(\n${given.map((each) => `    ${each},\n`).join("")})\n`,
    "print(answer.json())\n",
  ].join("");
}

/** @param {SentRequest} request @param {Target} target @returns {string} */
function asJavaScript({ body, bodyText, files }, { base, needsKey }) {
  const isExact = writeExactly(JSON.parse(bodyText)) === bodyText; // else a number of it is too large for JavaScript
  const why = " // as a text: it has a whole number that JavaScript's numbers can't hold";
  const key = `Authorization: "Bearer " + process.env.${KEY}`;
  const type = '"Content-Type": "application/json"';
  const headers = [...(files.length ? [] : [type]), ...(needsKey ? [key] : [])].join(", ");
  const form = [
    "const form = new FormData();\n",
    'form.append("request", body);\n',
    ...files.map(({ name, file }) => {
      const path = text(file.name);
      return `form.append(${text(name)}, await openAsBlob(${path}), ${path});\n`;
    }),
  ];
  return [
    comment(`For Node.js 20 and newer; save it as generate.mjs.\n${SAID}`, "//"),
    files.length ? 'import { openAsBlob } from "node:fs";\n\n' : "",
    isExact
      ? `const body = JSON.stringify(${literal(body, JAVASCRIPT)});\n`
      : `const body =${why}\n  ${text(bodyText)};\n`,
    ...(files.length ? form : []),
    `const answer = await fetch(${text(`${base}generate`)}, {\n`,
    '  method: "POST",\n',
    headers ? `  headers: { ${headers} },\n` : "",
    `  body${files.length ? ": form" : ""},\n`,
    "});\n",
    "console.log(await answer.json());\n",
  ].join("");
}

/** @param {string} lines @param {string} mark */
function comment(lines, mark) {
  return lines
    .split("\n")
    .map((line) => `${mark} ${line}\n`)
    .join("");
}

/** @param {string} word @returns {string} as one word of a shell. */
function quoted(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** @param {string} path @returns {string} as curl reads it in -F, where commas and semicolons mean something. */
function curlName(path) {
  return `"${path.replace(/["\\]/g, "\\$&")}"`;
}

const PYTHON = { true: "True", false: "False", null: "None", indent: "    " };
const JAVASCRIPT = { true: "true", false: "false", null: "null", indent: "  " };

/**
 * A JSON value in a language whose strings, numbers, lists and objects look like those of JSON.
 *
 * @param {any} value
 * @param {{true: string, false: string, null: string, indent: string}} words
 * @param {string} [indent]
 * @returns {string}
 */
function literal(value, words, indent = "") {
  if (value === null) return words.null;
  if (typeof value === "boolean") return value ? words.true : words.false;
  if (typeof value === "string") return text(value);
  if (typeof value !== "object") return writeExactly(value);
  const inner = indent + words.indent;
  if (Array.isArray(value)) return `[${value.map((each) => literal(each, words, inner)).join(", ")}]`;
  const fields = Object.entries(value).filter(([, each]) => each !== undefined);
  if (!fields.length) return "{}";
  const lines = fields.map(([name, each]) => `${inner}${text(name)}: ${literal(each, words, inner)},\n`);
  return `{\n${lines.join("")}${indent}}`;
}

/** @param {string} value @returns {string} a string in JSON, Python and JavaScript alike. */
function text(value) {
  return JSON.stringify(value);
}
