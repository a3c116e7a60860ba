// What the pages of applications share: the state of one, the way back.

import { Link } from "@tanstack/react-router";
import type { Schemas } from "../../api/client";
import { Status } from "../../ui/basics";

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
