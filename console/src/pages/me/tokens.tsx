// One's own tokens, for programs that act for oneself.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Button, Copyable, Empty, Note, When } from "../../ui/basics";
import { List } from "../../ui/list";
import { MyPage } from "./my-page";
import { ChangeToken, NewToken } from "./token";

export function MyTokens() {
    const [making, setMaking] = useState(false);
    const [made, setMade] = useState<Schemas["CreatedToken"]>();
    const [changing, setChanging] = useState<Schemas["PersonalAccessToken"]>();
    const revoke = useAction(
        (id: number) => read(api.DELETE("/api/v1/auth/tokens/{token_id}", { params: { path: { token_id: id } } })),
        { done: "Revoked.", changes: [["tokens"]] },
    );
    return (
        <MyPage
            title="Your tokens"
            lead="Access tokens for programs that act for you, within what you are allowed to do."
        >
            {made && (
                <Note tone="good">
                    <div className="stack tight">
                        <b>Your token {made.name}. It is shown only once.</b>
                        <Copyable text={made.token} label="token" />
                    </div>
                </Note>
            )}
            <List
                name="Tokens"
                of={["tokens", "own"]}
                filters={
                    <Button small kind="primary" onClick={() => setMaking(true)}>
                        New token
                    </Button>
                }
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/auth/tokens", { params: { query: { page, page_size: size } } }),
                    );
                    return { items: answer.tokens, total: answer.total };
                }}
                id={(each) => each.id}
                columns={[
                    {
                        head: "Name",
                        cell: (each) => (
                            <>
                                <b className="strong">{each.name}</b>
                                <div className="small soft mono">{each.prefix}…</div>
                            </>
                        ),
                    },
                    { head: "Scopes", cell: (each) => each.scopes.map((one) => <Badge key={one}>{one}</Badge>) },
                    { head: "Last used", cell: (each) => <When at={each.last_used_at} /> },
                    { head: "Expires", cell: (each) => <When at={each.expires_at} never="revoked" /> },
                    {
                        head: "",
                        cell: (each) => (
                            <span className="row">
                                <Button small aria-label={`Edit ${each.name}`} onClick={() => setChanging(each)}>
                                    Edit…
                                </Button>
                                <ActionButton
                                    small
                                    kind="danger"
                                    aria-label={`Revoke ${each.name}`}
                                    action={revoke}
                                    on={each.id}
                                >
                                    Revoke
                                </ActionButton>
                            </span>
                        ),
                    },
                ]}
                empty={<Empty title="No tokens yet">Create one for a program that acts for you.</Empty>}
            />
            {making && (
                <NewToken
                    onMade={(token) => {
                        setMade(token);
                        setMaking(false);
                    }}
                    onClose={() => setMaking(false)}
                />
            )}
            {changing && <ChangeToken token={changing} onClose={() => setChanging(undefined)} />}
        </MyPage>
    );
}
