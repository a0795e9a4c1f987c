// @ts-check
/** Nothing yet. */
export {};
