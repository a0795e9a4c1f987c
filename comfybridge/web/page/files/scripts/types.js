/**
 * Types that several modules use.
 *
 * @typedef {object} Parameter one property of a JSON Schema, as `GET /workflows/NAME` gives it.
 * @property {string | string[]} [type]
 * @property {string} [format] such as "image", for a file.
 * @property {string} [description]
 * @property {any[]} [enum]
 * @property {number | bigint} [minimum]
 * @property {number | bigint} [maximum]
 * @property {number} [multipleOf]
 * @property {any} [default]
 * @property {Parameter} [items]
 *
 * @typedef {object} Model
 * @property {string} name
 * @property {string} directory empty if unknown.
 * @property {string} url where it can be had; empty if unknown.
 * @property {boolean | null} [installed] null if no server could be asked.
 * @property {string | null} [used_instead] the model that the bridge uses in its place.
 *
 * @typedef {object} Workflow
 * @property {string | null} name null for a graph of one's own.
 * @property {string} description
 * @property {{properties: Record<string, Parameter>, required?: string[]}} parameters
 * @property {string[]} tasks
 * @property {Record<string, Record<string, Record<string, any>>>} presets by the preset's name and the choice's, what it
 *   sets.
 * @property {Record<string, any>} unclear by parameter, what the bridge could not tell of it.
 * @property {Model[]} models
 * @property {string[] | null} [missing_nodes] null if no server could be asked.
 * @property {string | null} [mask] what the graph reads as its mask, such as "alpha" or "red".
 * @property {Record<string, any>} [graph] only of a graph of one's own.
 * @property {string[]} [warnings]
 *
 * @typedef {object} ListedWorkflow one of `GET /workflows`.
 * @property {string} name
 * @property {string} description
 * @property {string[]} parameters
 * @property {string[]} tasks
 * @property {string[] | null} makes file endings; null if a node may make any.
 *
 * @typedef {object} Listing the answer of `GET /workflows`.
 * @property {string | null} default
 * @property {ListedWorkflow[]} workflows
 * @property {{name: string, error: string}[]} broken
 * @property {{name: string, error: string}[]} unread those that could not be read in time.
 *
 * @typedef {Record<string, any>} Values by parameter; files as File, integers beyond 2^53 as BigInt.
 *
 * @typedef {object} Content what a form holds.
 * @property {Record<string, any>} params
 * @property {Record<string, File>} files
 * @property {Record<string, string>} [presets] those that set what no parameter names.
 * @property {number} [n]
 * @property {number} [timeout] seconds
 * @property {Record<string, any>} [output]
 *
 * @typedef {object} Policy the answer of `GET /policy`: what this caller may do. A limit that is null is none.
 * @property {string | null} owner
 * @property {boolean} needs_key
 * @property {string[] | null} workflows null: all of them.
 * @property {boolean} graphs
 * @property {boolean} overrides
 * @property {boolean} priority
 * @property {boolean} server_info
 * @property {boolean} all_prompts
 * @property {number | null} max_width
 * @property {number | null} max_height
 * @property {number | null} max_pixels
 * @property {number | null} max_steps
 * @property {number | null} max_batch_size
 * @property {string | null} rate such as "10/minute".
 * @property {boolean} jobs
 * @property {boolean} webhooks
 * @property {number} max_n
 * @property {number} timeout seconds, of a request that names none.
 * @property {number} max_timeout seconds
 * @property {number} max_json_bytes
 * @property {number} max_upload_bytes
 * @property {string} version of the bridge.
 */

export {};
