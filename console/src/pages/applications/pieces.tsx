// What the pages of applications share: the state of one, who may register another, the way back.

import { Link } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { useMay } from "../../standing";
import { Status } from "../../ui/basics";

export type Application = Schemas["OauthApplication"];

/** The API calls it revoked; it can be let in again. */
export const State = ({ of }: { of: Application }) => (
    <Status value={of.status === "active" ? "active" : "suspended"} />
);

/** The way back, as far as it is open: members may register an application and not see the others. */
export function Crumbs() {
    const may = useMay();
    return (
        <>
            <Link to="/organization">Organization</Link>
            {may("oauth_app.read") && (
                <>
                    <span aria-hidden>/</span>
                    <Link to="/organization/applications">Applications</Link>
                </>
            )}
        </>
    );
}
