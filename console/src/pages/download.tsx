// Rows as a file, in the form that is chosen.

import { Download } from "lucide-react";
import { checked, save } from "../api/client";
import { useAction } from "../ui/action";
import { ActionMenu } from "../ui/dialog";

const FORMS = [
    ["CSV", "csv", "text/csv"],
    ["Parquet", "parquet", "application/vnd.apache.parquet"],
    ["Arrow", "arrow", "application/vnd.apache.arrow.stream"],
] as const;

export function DownloadMenu({
    name,
    ask,
}: {
    /** What the file is about; its name is made of it. */
    name: string;
    /** Asks the server for all rows in this form. */
    ask: (accept: string) => Promise<Response>;
}) {
    const download = useAction(
        async (form: { type: string; extension: string }) => {
            const response = await checked(await ask(form.type));
            const plain = name.slice(0, 40).toLowerCase();
            const file = plain.replace(/[^\w]+/g, "-").replace(/-$/, "") || "answer";
            await save(response, `${file}.${form.extension}`);
        },
        { done: "Downloaded." },
    );
    return (
        <ActionMenu
            label="Download"
            busy={download.busy}
            choices={FORMS.map(([label, extension, type]) => ({
                label,
                run: () => void download.start({ type, extension }),
            }))}
        >
            <Download size={15} />
        </ActionMenu>
    );
}
