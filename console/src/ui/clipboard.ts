// Copying. Browsers give pages the clipboard on https and on this machine alone; elsewhere the old command still works.

import { tell, tellError } from "./tell";

export async function copy(text: string, done: string) {
    try {
        if (navigator.clipboard) await navigator.clipboard.writeText(text);
        else copyBySelection(text);
        tell(done);
    } catch {
        tellError(new Error("Your browser blocked copying. Select the text and copy it yourself."));
    }
}

function copyBySelection(text: string) {
    const field = Object.assign(document.createElement("textarea"), { value: text, readOnly: true });
    // Within a dialog nothing outside of it can be selected.
    (document.activeElement?.parentElement ?? document.body).append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    if (!isDone) throw new Error("not copied");
}
