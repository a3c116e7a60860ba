// What is shown this once, to be copied now.

import type { ReactNode } from "react";
import { Copyable, Note } from "./basics";

export function Secret({ secret, of, children }: { secret: string; of: string; children?: ReactNode }) {
    return (
        <Note tone="good">
            <div className="stack tight">
                <b>The secret of {of}. It is shown only once: copy it now.</b>
                <Copyable text={secret} label="secret" />
                {children}
            </div>
        </Note>
    );
}
