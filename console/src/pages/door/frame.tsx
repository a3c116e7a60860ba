// What stands around every page before the sign-in.

import type { ReactNode } from "react";
import { Brand, type Look, themed } from "../../ui/branding";
import { useLook } from "./look";

export function Door({
    title,
    lead,
    children,
    foot,
    look,
    onTheWayTo,
}: {
    title: string;
    lead?: ReactNode;
    children: ReactNode;
    foot?: ReactNode;
    /** Of an organization that is known otherwise than from the address. */
    look?: Look;
    /** The request of an application that the page leads to, where the address does not say so. */
    onTheWayTo?: string;
}) {
    const known = useLook(onTheWayTo);
    const shown = look ?? known;
    const { className, style } = themed(shown?.branding.accent_color);
    return (
        <main className={`door ${className}`} style={style}>
            <title>{`${title} · RiverGen`}</title>
            <div className="door-card">
                <Brand look={shown} />
                <div className="card">
                    <div>
                        <h1>{title}</h1>
                        {lead && <p className="soft">{lead}</p>}
                    </div>
                    {children}
                </div>
                {foot && (
                    <p className="soft" style={{ textAlign: "center" }}>
                        {foot}
                    </p>
                )}
            </div>
        </main>
    );
}
