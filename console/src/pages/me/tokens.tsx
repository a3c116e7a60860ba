// One's own tokens, for programs that act for oneself.

import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMe } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import {
    Badge,
    Button,
    Check,
    Choices,
    Copyable,
    Empty,
    Note,
    Problem,
    SelectField,
    TextField,
    When,
} from "../../ui/basics";
import { Dialog } from "../../ui/dialog";
import { List } from "../../ui/list";
import { MyPage } from "./my-page";

const SCOPES = [
    ["read", "Read", "What only reads, questions included"],
    ["write", "Write", "That, and making workspaces, sources and files"],
    ["admin", "Everything", "All that you may do"],
] as const;

export function MyTokens() {
    const me = useMe();
    const [making, setMaking] = useState(false);
    const [made, setMade] = useState<Schemas["CreatedToken"]>();
    const [name, setName] = useState("");
    const [scope, setScope] = useState("read");
    const [days, setDays] = useState("90");
    const [organization, setOrganization] = useState("");
    const changes = [["tokens"]];
    const make = useAction(
        () =>
            read(
                api.POST("/api/v1/auth/tokens", {
                    body: {
                        name,
                        scopes: [scope],
                        expires_in_days: days ? Number(days) : undefined,
                        organization_id: organization ? Number(organization) : undefined,
                    },
                }),
            ),
        {
            changes,
            inline: true,
            onDone: (token) => {
                setMade(token);
                setMaking(false);
                setName("");
            },
        },
    );
    const revoke = useAction(
        (id: number) => read(api.DELETE("/api/v1/auth/tokens/{token_id}", { params: { path: { token_id: id } } })),
        { done: "Revoked.", changes },
    );
    return (
        <MyPage title="Your tokens" lead="For programs that act for you. None of them may do more than you.">
            {made && (
                <Note tone="good">
                    <div className="stack tight">
                        <b>Your token {made.name}. It is shown this once.</b>
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
                    { head: "Used", cell: (each) => <When at={each.last_used_at} /> },
                    { head: "Until", cell: (each) => <When at={each.expires_at} never="revoked" /> },
                    {
                        head: "",
                        cell: (each) => (
                            <ActionButton small kind="danger" action={revoke} on={each.id}>
                                Revoke
                            </ActionButton>
                        ),
                    },
                ]}
                empty={<Empty title="No tokens" />}
            />
            {making && (
                <Dialog title="New token" onClose={() => setMaking(false)}>
                    <form
                        className="stack"
                        onSubmit={(event) => {
                            event.preventDefault();
                            void make.start(undefined);
                        }}
                    >
                        <TextField
                            label="Name"
                            required
                            value={name}
                            onValue={setName}
                            autoFocus
                            error={make.of("name")}
                        />
                        <Choices legend="What it may do" error={make.of("scopes")}>
                            {SCOPES.map(([key, label, hint]) => (
                                <Check
                                    key={key}
                                    type="radio"
                                    name="scope"
                                    label={label}
                                    hint={hint}
                                    checked={scope === key}
                                    onChange={() => setScope(key)}
                                />
                            ))}
                        </Choices>
                        <div className="form-grid">
                            <SelectField
                                label="Good for"
                                value={days}
                                onValue={setDays}
                                options={[
                                    ["7", "7 days"],
                                    ["30", "30 days"],
                                    ["90", "90 days"],
                                    ["365", "A year"],
                                ]}
                                error={make.of("expires_in_days")}
                            />
                            <SelectField
                                label="Where"
                                value={organization}
                                onValue={setOrganization}
                                options={[
                                    ["", "Everywhere"],
                                    ...(me.data?.organizations ?? []).map(
                                        (each) => [String(each.id), each.name] as const,
                                    ),
                                ]}
                            />
                        </div>
                        {make.error !== undefined && <Problem error={make.error} />}
                        <div className="form-end">
                            <Button onClick={() => setMaking(false)}>Cancel</Button>
                            <Button kind="primary" type="submit" busy={make.busy}>
                                Make it
                            </Button>
                        </div>
                    </form>
                </Dialog>
            )}
        </MyPage>
    );
}
