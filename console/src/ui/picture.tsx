// A picture that the server keeps: shown, put in the place of another, taken away.

import type { ReactNode } from "react";
import { ActionButton } from "./action";
import { Field, Problem } from "./basics";

/** As the server takes it. */
const MOST_BYTES = 64 * 1024;

/** A file as the server takes pictures: as a data URL. */
export async function asPicture(file: File): Promise<string> {
    if (file.size > MOST_BYTES) throw new Error("The picture is larger than 64 KiB.");
    return new Promise((resolve, reject) => {
        const reader = new FileReader();
        reader.onload = () => resolve(String(reader.result));
        reader.onerror = () => reject(new Error("The file could not be read."));
        reader.readAsDataURL(file);
    });
}

export function Picture({
    picture,
    kinds,
    hint,
    field,
    set,
}: {
    picture: string | null | undefined;
    /** Such as `image/png`. */
    kinds: string[];
    hint: ReactNode;
    /** What the server calls it where it refuses one. */
    field: string;
    /** Keeps a file in its place; none where it is `null`. */
    set: {
        start: (file: File | null) => Promise<unknown>;
        busy: boolean;
        error: unknown;
        isBusyWith: (file: File | null) => boolean;
        of: (field: string) => string | undefined;
    };
}) {
    return (
        <div className="stack">
            <div className="row">
                {/* One that is elsewhere is not loaded: that would tell who looks at it. */}
                {picture?.startsWith("data:") && (
                    <img src={picture} alt="Current picture" width={48} height={48} style={{ objectFit: "contain" }} />
                )}
                <div className="grow">
                    <Field label="Upload a picture" hint={hint} error={set.of(field)}>
                        {(props) => (
                            <input
                                {...props}
                                type="file"
                                className="input"
                                accept={kinds.join(",")}
                                disabled={set.busy}
                                aria-busy={set.busy}
                                onChange={(event) => {
                                    const file = event.target.files?.[0];
                                    event.target.value = "";
                                    if (file) void set.start(file);
                                }}
                            />
                        )}
                    </Field>
                </div>
                {picture && (
                    <ActionButton small kind="danger" action={set} on={null}>
                        Remove the picture
                    </ActionButton>
                )}
            </div>
            {picture && !picture.startsWith("data:") && (
                <p className="small soft break">
                    The current picture is hosted at {picture}. Pictures from other sites are not shown here.
                </p>
            )}
            {set.error !== undefined && <Problem error={set.error} />}
        </div>
    );
}
