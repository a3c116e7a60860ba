// What the pages of applications share: the state of one, the way back, a secret shown once.

import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import type { Schemas } from "../../api/client";
import { Copyable, Note, Status } from "../../ui/basics";

export type Application = Schemas["OauthApplication"];

/** The API calls it revoked; it can be let in again. */
export const State = ({ of }: { of: Application }) => (
    <Status value={of.status === "active" ? "active" : "suspended"} />
);

export const Crumbs = () => (
    <>
        <Link to="/organization">Organization</Link>
        <span aria-hidden>/</span>
        <Link to="/organization/applications">Applications</Link>
    </>
);

/** What is shown this once, to be copied now. */
export function Secret({ secret, of, children }: { secret: string; of: string; children?: ReactNode }) {
    return (
        <Note tone="good">
            <div className="stack tight">
                <b>The secret of {of}. It is shown this once: copy it now.</b>
                <Copyable text={secret} label="secret" />
                {children}
            </div>
        </Note>
    );
}
