// Many people at once from a file, tried out first.

import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { type Schemas, api, read } from "../../api/client";
import { useMe, useOrganization } from "../../standing";
import { ActionButton, ActionForm, useAction } from "../../ui/action";
import { Card, Check, Field, Note, Page, Problem, SelectField, Status } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";

/** What a file begins with. */
const HEAD = "email,display_name,role\n";

/** Refused rows in one answer. */
const PAGE = 1000;

export function Imports() {
    const organization = useOrganization();
    const me = useMe();
    const [content, setContent] = useState(HEAD);
    const [done, setDone] = useState(HEAD);
    const [format, setFormat] = useState("csv");
    const [dry, setDry] = useState(true);
    const [running, setRunning] = useState<string>();
    const begin = useAction(
        async () =>
            (
                await read(
                    api.POST("/api/v1/users/bulk-import", {
                        body: { organization_id: organization, format: format as "csv", content, dry_run: dry },
                    }),
                )
            ).import_id,
        {
            inline: true,
            onDone: (id) => {
                setRunning(id);
                setLater([]);
                setIsWhole(false);
                if (!dry) setDone(content);
            },
        },
    );
    const progress = useQuery({
        queryKey: ["import", running],
        enabled: running !== undefined,
        refetchInterval: (query) =>
            query.state.data?.import && query.state.data.import.status !== "processing" ? false : 1000,
        queryFn: async () => ({
            import: await read(
                api.GET("/api/v1/users/bulk-import/{import_id}", { params: { path: { import_id: running as never } } }),
            ),
        }),
    });
    const state = progress.data?.import;
    // The server tells a thousand at a time; those behind them are asked for.
    const [later, setLater] = useState<Schemas["ImportRowError"][]>([]);
    const errors = [...(state?.errors ?? []), ...later];
    const [isWhole, setIsWhole] = useState(false);
    const hasMore = state !== undefined && state.status !== "processing" && !isWhole && state.errors.length >= PAGE;
    const more = useAction(
        () =>
            read(
                api.GET("/api/v1/users/bulk-import/{import_id}", {
                    params: { path: { import_id: running as never }, query: { errors_after: errors.at(-1)?.row } },
                }),
            ),
        {
            inline: true,
            onDone: (answer) => {
                setLater([...later, ...answer.errors]);
                setIsWhole(answer.errors.length < PAGE);
            },
        },
    );
    return (
        <Page
            title="Import people"
            lead="From a CSV file or SCIM. Do a dry run first: it changes nothing."
            crumbs={<Link to="/people">Members</Link>}
            narrow
        >
            <Card>
                <ActionForm
                    action={begin}
                    submit={dry ? "Dry run" : "Import"}
                    disabled={!me.data}
                    touched={content !== done}
                    what="The import is"
                >
                    <div className="form-grid">
                        <SelectField
                            label="Format"
                            value={format}
                            onValue={setFormat}
                            options={[
                                ["csv", "CSV"],
                                ["scim", "SCIM"],
                            ]}
                        />
                        <label className="field">
                            <span className="label">File</span>
                            <input
                                type="file"
                                className="input"
                                accept=".csv,.json,text/csv,application/json"
                                onChange={async (event) => {
                                    const file = event.target.files?.[0];
                                    if (file) setContent(await file.text());
                                }}
                            />
                        </label>
                    </div>
                    <Field label="Content" error={begin.of("content")}>
                        {(props) => (
                            <textarea
                                {...props}
                                className="mono"
                                rows={8}
                                spellCheck={false}
                                required
                                value={content}
                                onChange={(event) => setContent(event.target.value)}
                            />
                        )}
                    </Field>
                    <Check
                        label="Dry run: check everything, change nothing"
                        checked={dry}
                        onChange={(event) => setDry(event.target.checked)}
                    />
                </ActionForm>
            </Card>
            {running &&
                (state ? (
                    <Card title="Progress" actions={<Status value={state.status} />}>
                        <div className="stack tight" aria-live="polite">
                            <div
                                className="meter"
                                role="progressbar"
                                aria-label="Rows done"
                                aria-valuenow={state.processed}
                                aria-valuemin={0}
                                aria-valuemax={state.total_rows}
                            >
                                <i style={{ width: `${(state.processed / Math.max(1, state.total_rows)) * 100}%` }} />
                            </div>
                            <p className="soft">
                                {state.processed} of {state.total_rows} rows: {state.created} new, {state.updated}{" "}
                                changed, {state.failed} rejected.
                            </p>
                            {state.failure && <Note tone="bad">{state.failure}</Note>}
                            {errors.length > 0 && (
                                <div className="table-wrap" tabIndex={0} role="region" aria-label="Rejected rows">
                                    <table aria-label="Rejected rows">
                                        <thead>
                                            <tr>
                                                <th scope="col">Row</th>
                                                <th scope="col">Field</th>
                                                <th scope="col">Reason</th>
                                            </tr>
                                        </thead>
                                        <tbody>
                                            {errors.map((error) => (
                                                <tr key={`${error.row}${error.field}${error.code}`}>
                                                    <td>{error.row}</td>
                                                    <td>{error.field ?? "—"}</td>
                                                    <td>{error.message}</td>
                                                </tr>
                                            ))}
                                        </tbody>
                                    </table>
                                </div>
                            )}
                            {more.error !== undefined && <Problem error={more.error} />}
                            {hasMore && (
                                <ActionButton small action={more} on={undefined}>
                                    More rejected rows
                                </ActionButton>
                            )}
                        </div>
                    </Card>
                ) : (
                    <Loaded query={progress}>{() => null}</Loaded>
                ))}
        </Page>
    );
}
