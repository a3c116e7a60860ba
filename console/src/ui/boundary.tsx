// The last net: what no page expected. It says so, and offers the way back; it stands alone, without the navigation.

import type { ErrorComponentProps } from "@tanstack/react-router";
import { Button, Page, Problem } from "./basics";

export function Broken({ error, reset }: ErrorComponentProps) {
    return (
        <main className="main alone">
            <Page title="This page crashed" narrow lead="Anything you saved before is safe.">
                <Problem error={error} />
                <div className="row">
                    <Button kind="primary" onClick={reset}>
                        Try again
                    </Button>
                    <a className="button" href="/">
                        Go home
                    </a>
                </div>
            </Page>
        </main>
    );
}

export function Missing() {
    return (
        <main className="main alone">
            <Page title="Page not found" narrow lead="The address is wrong, or the page no longer exists.">
                <div className="row">
                    <a className="button primary" href="/">
                        Go home
                    </a>
                </div>
            </Page>
        </main>
    );
}
