// The settings of a source: its name and state, its connection, its end.

import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMay } from "../../standing";
import { ActionForm, useAction } from "../../ui/action";
import { Card, Check, Facts, SelectField, TextField, When, words } from "../../ui/basics";
import { DeleteCard, Deletion } from "../../ui/confirm";
import { type JsonSchema, SchemaForm, type Values } from "../../ui/schema-form";
import { Loaded } from "../../ui/loaded";
import { Credentials } from "./credentials";
import { FileLink } from "./file-link";
import { LimitFields, type Limits, limitsOf } from "./limits";
import { fileName, useKinds } from "./names";

export function Settings({ source }: { source: Schemas["DataSource"] }) {
    const may = useMay();
    const navigate = useNavigate();
    const kinds = useKinds();
    const kind = kinds.data?.items.find((each) => each.type === source.type);
    const path = { data_source_id: source.id };
    const [name, setName] = useState(source.name);
    const [description, setDescription] = useState(source.description ?? "");
    const [status, setStatus] = useState<string>();
    const [refresh, setRefresh] = useState(source.schema_auto_refresh);
    const [values, setValues] = useState<Values>({});
    const [limits, setLimits] = useState<Limits>({});
    const [deleting, setDeleting] = useState(false);
    const touched =
        name !== source.name ||
        description !== (source.description ?? "") ||
        (status !== undefined && status !== source.status) ||
        refresh !== source.schema_auto_refresh ||
        Object.keys(limits).length > 0 ||
        Object.keys(values).length > 0;
    const save = useAction(
        () =>
            read(
                api.PATCH("/api/v1/data-sources/{data_source_id}", {
                    params: { path },
                    body: {
                        ...values,
                        ...limitsOf(limits),
                        name,
                        description,
                        schema_auto_refresh: refresh,
                        status: status !== source.status ? (status as "active" | undefined) : undefined,
                    } as never,
                }),
            ),
        {
            done: "Saved.",
            changes: [["source", String(source.id)], ["sources"]],
            inline: true,
            onDone: () => {
                setValues({});
                setLimits({});
                setStatus(undefined);
            },
        },
    );
    return (
        <div className="stack">
            <ActionForm action={save} submit="Save" disabled={!touched} touched={touched}>
                <Card title="General">
                    <div className="form-grid">
                        <TextField label="Name" required value={name} onValue={setName} error={save.of("name")} />
                        <TextField
                            label="Description"
                            value={description}
                            onValue={setDescription}
                            error={save.of("description")}
                        />
                        <SelectField
                            label="Status"
                            value={status ?? source.status}
                            onValue={setStatus}
                            options={[...new Set([source.status, "active", "inactive", "maintenance"])].map(
                                (each) => [each, words(each)] as const,
                            )}
                        />
                        <div className="span">
                            <Check
                                label="Refresh its tables automatically"
                                checked={refresh}
                                onChange={(event) => setRefresh(event.target.checked)}
                            />
                        </div>
                    </div>
                </Card>
                <Card title="Connection">
                    <div className="stack">
                        <Facts
                            of={[
                                source.host
                                    ? [
                                          "Current",
                                          `${source.host}${source.port ? `:${source.port}` : ""}${source.database_name ? ` / ${source.database_name}` : ""}`,
                                      ]
                                    : null,
                                source.file_path
                                    ? [
                                          "File",
                                          <code key="file" className="break">
                                              {fileName(source.file_path)}
                                          </code>,
                                      ]
                                    : null,
                                source.credentials_updated_at
                                    ? ["Credentials set", <When key="set" at={source.credentials_updated_at} />]
                                    : null,
                            ]}
                        />
                        {source.file_path && <FileLink source={source.id} />}
                        <p className="soft">Leave a field empty to keep its value. Secrets are never shown.</p>
                        {kind ? (
                            <SchemaForm
                                schema={kind.form as unknown as JsonSchema}
                                required={[]}
                                values={values}
                                onValues={setValues}
                                error={save.of}
                            />
                        ) : (
                            <Loaded query={kinds}>{() => null}</Loaded>
                        )}
                    </div>
                </Card>
                <details className="card pad">
                    <summary style={{ fontWeight: 560 }}>Timeouts and limits</summary>
                    <div style={{ marginTop: 12 }}>
                        <LimitFields source={source} limits={limits} onLimits={setLimits} error={save.of} />
                    </div>
                </details>
            </ActionForm>
            {kind && <Credentials source={source.id} form={kind.form as unknown as JsonSchema} />}
            {may("datasource.delete") && (
                <DeleteCard onDelete={() => setDeleting(true)}>
                    Nobody can query it any more. You can restore it for thirty days.
                </DeleteCard>
            )}
            {deleting && (
                <Deletion
                    of={source.name}
                    run={() => read(api.DELETE("/api/v1/data-sources/{data_source_id}", { params: { path } }))}
                    changes={[["sources"]]}
                    onDone={() => void navigate({ to: "/sources" })}
                    onClose={() => setDeleting(false)}
                >
                    <p>Questions over it will fail. The data itself is not touched.</p>
                </Deletion>
            )}
        </div>
    );
}
