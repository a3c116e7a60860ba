// Connecting a source: its form, its test, and its first page.

import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { usePlace } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Check, Empty, Page, TextField } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { type JsonSchema, SchemaForm, type Values } from "../../ui/schema-form";
import { Capabilities } from "./capabilities";
import { FileChoice } from "./file-choice";
import { titles, useKinds } from "./names";
import { TestOutcome } from "./test-outcome";
import { Tunnel } from "./tunnel";

export function Connect() {
    const { kind: type } = useParams({ strict: false }) as { kind: string };
    const kinds = useKinds();
    const kind = kinds.data?.items.find((each) => each.type === type);
    return (
        <Page
            title={`Connect ${titles[type] ?? type}`}
            narrow
            crumbs={
                <>
                    <Link to="/sources">Sources</Link>/<Link to="/sources/new">Connect</Link>
                </>
            }
        >
            <Loaded query={kinds}>
                {() =>
                    kind ? (
                        <div className="stack">
                            <ConnectForm kind={kind} />
                            <Card title="What it can do">
                                <Capabilities abilities={kind.abilities} verification={kind.verification} />
                            </Card>
                        </div>
                    ) : (
                        <div className="card">
                            <Empty
                                title="Unknown kind of source"
                                actions={
                                    <Link className="button" to="/sources/new">
                                        Choose another
                                    </Link>
                                }
                            />
                        </div>
                    )
                }
            </Loaded>
        </Page>
    );
}

function ConnectForm({ kind }: { kind: Schemas["DataSourceTypeInfo"] }) {
    const navigate = useNavigate();
    const { workspace } = usePlace();
    const schema = kind.form as unknown as JsonSchema;
    const [name, setName] = useState("");
    const [description, setDescription] = useState("");
    const [onlyHere, setOnlyHere] = useState(false);
    const [values, setValues] = useState<Values>(() => (kind.default_port ? { port: kind.default_port } : {}));
    const [made, setMade] = useState<number>();
    const [touched, setTouched] = useState(false);
    const change = (next: Values) => {
        setValues(next);
        setTouched(true);
    };

    const test = useAction(
        (id: number) =>
            read(
                api.POST("/api/v1/data-sources/{data_source_id}/test", {
                    params: { path: { data_source_id: id } },
                    body: {},
                }),
            ),
        { inline: true, changes: [["sources"], ["kinds"]] },
    );
    const [outcome, setOutcome] = useState<Schemas["TestAnswer"]>();
    const connect = useAction(
        async () => {
            const body = { ...values, name, description: description || undefined } as Record<string, unknown>;
            let id = made;
            if (id === undefined) {
                const source = await read(
                    api.POST("/api/v1/data-sources", {
                        body: {
                            ...body,
                            type: kind.type,
                            name,
                            workspace_id: onlyHere ? workspace : undefined,
                        } as never,
                    }),
                );
                id = source.id;
                setMade(id);
            } else
                await read(
                    api.PATCH("/api/v1/data-sources/{data_source_id}", {
                        params: { path: { data_source_id: id } },
                        body: body as never,
                    }),
                );
            setTouched(false);
            const result = await test.start(id);
            setOutcome(result);
            if (result?.connection_successful) void navigate({ to: "/sources/$id", params: { id: String(id) } });
        },
        { inline: true, changes: [["sources"]] },
    );
    const special = useMemo(
        () => ({
            file_path: ({
                value,
                onValue,
                error,
            }: {
                value: unknown;
                onValue: (value: unknown) => void;
                error?: string;
            }) => (
                <FileChoice
                    value={value as string | undefined}
                    onValue={onValue}
                    error={error}
                    onNamed={(file) => setName((before) => before || file.replace(/\.[^.]+$/, ""))}
                />
            ),
        }),
        [],
    );
    const offersTunnel = kind.can_be_tunnelled;
    return (
        <ActionForm
            action={{ ...connect, error: connect.error ?? test.error }}
            submit={
                connect.busy
                    ? test.busy
                        ? "Testing the connection…"
                        : "Connecting…"
                    : made === undefined
                      ? "Connect"
                      : "Try again"
            }
            beside={
                made !== undefined && (
                    <Link className="button" to="/sources/$id" params={{ id: String(made) }}>
                        Discard the changes
                    </Link>
                )
            }
            touched={touched}
            what="Your entries are"
        >
            <Card>
                <div className="stack">
                    <SchemaForm
                        schema={schema}
                        required={kind.required.all}
                        values={values}
                        onValues={change}
                        error={connect.of}
                        special={special}
                    />
                    {offersTunnel && <Tunnel values={values} onValues={change} error={connect.of} />}
                </div>
            </Card>
            <Card title="Name">
                <div className="form-grid">
                    <TextField
                        label="Name"
                        required
                        value={name}
                        onValue={(value) => {
                            setName(value);
                            setTouched(true);
                        }}
                        error={connect.of("name")}
                    />
                    <TextField
                        label="Description (optional)"
                        value={description}
                        onValue={(value) => {
                            setDescription(value);
                            setTouched(true);
                        }}
                        error={connect.of("description")}
                    />
                    <div className="span">
                        <Check
                            label="Only in this workspace"
                            hint="Otherwise all workspaces can use it, as far as their roles allow."
                            checked={onlyHere}
                            onChange={(event) => {
                                setOnlyHere(event.target.checked);
                                setTouched(true);
                            }}
                        />
                    </div>
                </div>
            </Card>
            {outcome && <TestOutcome outcome={outcome} />}
        </ActionForm>
    );
}
