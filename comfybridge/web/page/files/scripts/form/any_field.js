/** A value of which the bridge knows no type: sent as the text that it is, but for true and false. */

import { TextField } from "./text_field.js";

export class AnyField extends TextField {
  /** @override @returns {any} */
  read() {
    const text = super.read();
    if (text === "true") return true;
    return text === "false" ? false : text;
  }
}
