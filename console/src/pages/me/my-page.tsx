// What stands around every page of one's own account.

import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { Page, showActive } from "../../ui/basics";

const PARTS = [
    ["/me", "Profile"],
    ["/me/security", "Security"],
    ["/me/sessions", "Sessions and devices"],
    ["/me/tokens", "Tokens"],
    ["/me/applications", "Applications"],
] as const;

export function MyPage({ title, lead, children }: { title: string; lead?: string; children: ReactNode }) {
    return (
        <Page title={title} lead={lead} narrow>
            <nav className="tabs" ref={showActive} aria-label="Your account">
                {PARTS.map(([to, label]) => (
                    <Link
                        key={to}
                        to={to}
                        activeOptions={{ exact: true }}
                        activeProps={{ className: "active", "aria-current": "page" }}
                    >
                        {label}
                    </Link>
                ))}
            </nav>
            {children}
        </Page>
    );
}
