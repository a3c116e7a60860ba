// The last net: what no page expected. It says so, and offers the way back.

import type { ErrorComponentProps } from "@tanstack/react-router";
import { Button, Page, Problem } from "./basics";

export function Broken({ error, reset }: ErrorComponentProps) {
    return (
        <Page title="This page broke" narrow lead="What you did before is safe on the server.">
            <Problem error={error} />
            <div className="row">
                <Button kind="primary" onClick={reset}>
                    Try again
                </Button>
                <a className="button" href="/">
                    To the start
                </a>
            </div>
        </Page>
    );
}

export function Missing() {
    return (
        <Page title="There is nothing here" narrow lead="The address is wrong, or what stood here is gone.">
            <div className="row">
                <a className="button primary" href="/">
                    To the start
                </a>
            </div>
        </Page>
    );
}
