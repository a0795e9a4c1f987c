/** Why a field's value cannot be sent. */

export class Problem extends Error {}
