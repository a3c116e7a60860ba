// Files: what one has, what is shared, links and shared folders, and how much room there is.

import { useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { MoreHorizontal } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, checked, read, save, send } from "../api/client";
import { named, useWorkspacesHere } from "../choices";
import { queries } from "../queries";
import { useMay } from "../standing";
import { ActionButton, ActionForm, useAction } from "../ui/action";
import {
    Badge,
    Button,
    Card,
    Copyable,
    Empty,
    Filter,
    Note,
    Page,
    SelectField,
    TextField,
    When,
    bytes,
    words,
} from "../ui/basics";
import { Deletion } from "../ui/confirm";
import { ActionMenu, Dialog } from "../ui/dialog";
import { Uploads } from "../ui/dropzone";
import { List } from "../ui/list";
import { Loaded } from "../ui/loaded";
import { Parts } from "../ui/parts";
import { PersonName } from "../ui/person-choice";
import { tell } from "../ui/tell";
import { WorkspaceName } from "../ui/workspace-name";

const object = (name: string) => `/api/v1/storage/objects/${name.split("/").map(encodeURIComponent).join("/")}`;

export function FilesPage() {
    const may = useMay();
    const { tab = "files" } = useSearch({ strict: false }) as { tab?: string };
    return (
        <Page
            title="Files"
            lead="Encrypted with your organization's key. Private until you share them."
            actions={
                <Link className="button" to="/files/usage">
                    Usage
                </Link>
            }
        >
            <Parts
                at={{ to: "/files" }}
                of={[
                    ["files", "Files"],
                    ["links", "Links"],
                    ["shares", "Shared folders"],
                ]}
                open={tab}
            />
            {tab === "files" && (
                <>
                    {may("storage.write") && (
                        <Uploads
                            category="general"
                            onDone={(_, name) => {
                                tell(`${name} uploaded.`);
                                void queries.invalidateQueries({ queryKey: ["files"] });
                            }}
                        />
                    )}
                    <FileList />
                </>
            )}
            {tab === "links" && <Links />}
            {tab === "shares" && <Shares />}
        </Page>
    );
}

function FileList() {
    const may = useMay();
    const [scope, setScope] = useState("own");
    const [linking, setLinking] = useState<Schemas["StorageFile"]>();
    const [deleting, setDeleting] = useState<Schemas["StorageFile"]>();
    const download = useAction(async (file: Schemas["StorageFile"]) =>
        save(await checked(await send(object(file.object_name))), file.file_name),
    );
    return (
        <>
            <List
                name="Files"
                of={["files", scope]}
                search="Search files"
                filters={
                    <Filter
                        label="Whose"
                        value={scope}
                        onValue={setScope}
                        options={[
                            ["own", "Mine"],
                            ["shared", "Shared with me"],
                            ...(may("storage.manage") ? [["all", "Everyone's"] as const] : []),
                        ]}
                    />
                }
                load={async ({ page, size, search }) => {
                    const answer = await read(
                        api.GET("/api/v1/storage/files", {
                            params: {
                                query: { page, page_size: size, search: search || undefined, scope: scope as never },
                            },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(file) => file.storage_file_id}
                columns={[
                    {
                        head: "Name",
                        cell: (file) => (
                            <>
                                <div className="strong break">{file.file_name}</div>
                                {file.data_source_id && (
                                    <Link
                                        className="small"
                                        to="/sources/$id"
                                        params={{ id: String(file.data_source_id) }}
                                    >
                                        Used by a source
                                    </Link>
                                )}
                            </>
                        ),
                    },
                    { head: "Size", cell: (file) => bytes(file.size_bytes), numeric: true, className: "nowrap" },
                    { head: "Kind", cell: (file) => <Badge>{words(file.file_category)}</Badge> },
                    { head: "Uploaded", cell: (file) => <When at={file.uploaded_at} /> },
                    {
                        head: "",
                        cell: (file) => (
                            <ActionMenu
                                label={`Actions for ${file.file_name}`}
                                busy={download.isBusyWith(file)}
                                choices={[
                                    { label: "Download", run: () => void download.start(file) },
                                    { label: "Create a link…", run: () => setLinking(file) },
                                    may("storage.delete") && {
                                        label: "Delete…",
                                        danger: true,
                                        run: () => setDeleting(file),
                                    },
                                ]}
                            >
                                <MoreHorizontal size={16} />
                            </ActionMenu>
                        ),
                    },
                ]}
                empty={
                    <Empty title="No files yet">
                        {scope === "own"
                            ? "Drop one above to upload it."
                            : "No folder is shared with your workspace yet."}
                    </Empty>
                }
            />
            {linking && <MakeLink file={linking} onClose={() => setLinking(undefined)} />}
            {deleting && (
                <Deletion
                    of={deleting.file_name}
                    run={async () =>
                        checked(
                            await send(
                                `${object(deleting.object_name)}${deleting.data_source_id ? "?force=true" : ""}`,
                                { method: "DELETE" },
                            ),
                        )
                    }
                    changes={[["files"]]}
                    onClose={() => setDeleting(undefined)}
                >
                    <p>
                        This cannot be undone
                        {deleting.data_source_id ? ", and the source that uses it will stop working" : ""}.
                    </p>
                </Deletion>
            )}
        </>
    );
}

function MakeLink({ file, onClose }: { file: Schemas["StorageFile"]; onClose: () => void }) {
    const [seconds, setSeconds] = useState("3600");
    const make = useAction(
        async () => {
            const answer = (await (
                await checked(await send(`${object(file.object_name)}/presigned-url?expires_seconds=${seconds}`))
            ).json()) as { data: Schemas["FileLink"] };
            return answer.data;
        },
        { changes: [["links"]] },
    );
    const [link, setLink] = useState<Schemas["FileLink"]>();
    return (
        <Dialog title={`A link to ${file.file_name}`} onClose={onClose}>
            {link ? (
                <>
                    <Note tone="warn">
                        Anyone with this link can download the file without an account. It is shown only once.
                    </Note>
                    <Copyable text={link.url} label="link" />
                    <p className="soft">
                        Valid until <When at={link.expires_at} />.
                    </p>
                </>
            ) : (
                <>
                    <SelectField
                        label="Valid for"
                        value={seconds}
                        onValue={setSeconds}
                        options={[
                            ["600", "10 minutes"],
                            ["3600", "1 hour"],
                            ["86400", "1 day"],
                            ["604800", "7 days"],
                        ]}
                    />
                    <div className="form-end">
                        <Button onClick={onClose}>Cancel</Button>
                        <Button
                            kind="primary"
                            busy={make.busy}
                            onClick={async () => setLink(await make.start(undefined))}
                        >
                            Create link
                        </Button>
                    </div>
                </>
            )}
        </Dialog>
    );
}

function Links() {
    const revoke = useAction(
        (id: number) => read(api.DELETE("/api/v1/storage/links/{link_id}", { params: { path: { link_id: id } } })),
        { done: "Revoked.", changes: [["links"]] },
    );
    return (
        <List
            name="Links"
            of={["links"]}
            load={async ({ page, size }) => {
                const answer = await read(
                    api.GET("/api/v1/storage/links", { params: { query: { page, page_size: size } } }),
                );
                return { items: answer.items, total: answer.pagination.total_items };
            }}
            id={(link) => link.link_id}
            columns={[
                { head: "File", cell: (link) => <span className="break">{link.object_name.split("/").at(-1)}</span> },
                { head: "Created", cell: (link) => <When at={link.created_at} /> },
                { head: "Valid until", cell: (link) => <When at={link.expires_at} /> },
                {
                    head: "",
                    cell: (link) => (
                        <ActionButton small kind="danger" action={revoke} on={link.link_id}>
                            Revoke
                        </ActionButton>
                    ),
                },
            ]}
            empty={<Empty title="No links yet">Create one from a file's menu.</Empty>}
        />
    );
}

function Shares() {
    const [folder, setFolder] = useState("");
    const [workspace, setWorkspace] = useState("");
    const workspaces = useWorkspacesHere();
    const share = useAction(
        () =>
            read(
                api.POST("/api/v1/storage/shares", {
                    body: { folder: folder || undefined, workspace_id: Number(workspace) },
                }),
            ),
        {
            done: "Shared.",
            changes: [["shares"]],
            inline: true,
            onDone: () => {
                setFolder("");
                setWorkspace("");
            },
        },
    );
    const stop = useAction(
        (id: number) => read(api.DELETE("/api/v1/storage/shares/{share_id}", { params: { path: { share_id: id } } })),
        { done: "No longer shared.", changes: [["shares"]] },
    );
    return (
        <div className="stack">
            <Card title="Share a folder">
                <ActionForm
                    action={share}
                    submit="Share"
                    disabled={!workspace}
                    touched={folder !== "" || workspace !== ""}
                    what="The share is"
                >
                    <div className="form-grid">
                        <TextField
                            label="Folder"
                            hint="Within your own files. Leave empty to share everything."
                            value={folder}
                            onValue={setFolder}
                        />
                        <SelectField
                            label="Workspace"
                            required
                            value={workspace}
                            onValue={setWorkspace}
                            options={[["", "Choose…"], ...named(workspaces)]}
                        />
                    </div>
                </ActionForm>
            </Card>
            <List
                name="Shared folders"
                of={["shares"]}
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/storage/shares", { params: { query: { page, page_size: size } } }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(each) => each.share_id}
                columns={[
                    { head: "Folder", cell: (each) => <code className="break">{each.prefix}</code> },
                    {
                        head: "Workspace",
                        cell: (each) => <WorkspaceName id={each.workspace_id} />,
                    },
                    {
                        head: "",
                        cell: (each) => (
                            <ActionButton small kind="danger" action={stop} on={each.share_id}>
                                Stop sharing
                            </ActionButton>
                        ),
                    },
                ]}
                empty={<Empty title="No shared folders yet">People in the workspace can read what you share.</Empty>}
            />
        </div>
    );
}

export function Usage() {
    const may = useMay();
    const usage = useQuery({ queryKey: ["usage"], queryFn: () => read(api.GET("/api/v1/storage/usage")) });
    return (
        <Page title="Storage usage" crumbs={<Link to="/files">Files</Link>} narrow>
            <Loaded query={usage}>
                {(data) => (
                    <Card>
                        <div className="stack tight">
                            <div className="row apart">
                                <b className="strong">
                                    {bytes(data.used_bytes)} of {bytes(data.limit_bytes)}
                                </b>
                                <span className="soft">{data.file_count.toLocaleString()} files</span>
                            </div>
                            <div
                                className="meter"
                                role="progressbar"
                                aria-label="Used"
                                aria-valuenow={Math.round(data.usage_percentage)}
                                aria-valuemin={0}
                                aria-valuemax={100}
                            >
                                <i style={{ width: `${Math.max(0.5, data.usage_percentage)}%` }} />
                            </div>
                            <p className="small soft">
                                Yours: {bytes(data.own_used_bytes)} in {data.own_file_count.toLocaleString()} files.
                            </p>
                        </div>
                    </Card>
                )}
            </Loaded>
            {may("storage.manage") && (
                <List
                    name="People"
                    of={["usage", "people"]}
                    load={async ({ page, size }) => {
                        const answer = await read(
                            api.GET("/api/v1/storage/usage/people", { params: { query: { page, page_size: size } } }),
                        );
                        return { items: answer.items, total: answer.pagination.total_items };
                    }}
                    id={(person) => person.user_id}
                    columns={[
                        {
                            head: "Person",
                            cell: (person) => (
                                <Link to="/people/$id" params={{ id: String(person.user_id) }}>
                                    <PersonName id={person.user_id} />
                                    {!person.is_member && " (left)"}
                                </Link>
                            ),
                        },
                        { head: "Files", cell: (person) => person.file_count.toLocaleString(), numeric: true },
                        { head: "Size", cell: (person) => bytes(person.used_bytes), numeric: true },
                    ]}
                    empty={<Empty title="No files yet" />}
                />
            )}
        </Page>
    );
}
