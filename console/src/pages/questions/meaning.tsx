// What the data means: how tables belong together, what they measure, what they are and what they are called; said by people, or
// proposed from schemas and queries until somebody confirms it.

import { MoreHorizontal, Plus } from "lucide-react";
import { useState } from "react";
import { type Schemas, api, read, save } from "../../api/client";
import { useMay } from "../../standing";
import { ActionButton, useAction } from "../../ui/action";
import { Badge, Button, Empty, Filter, When, words } from "../../ui/basics";
import { Deletion } from "../../ui/confirm";
import { ActionMenu } from "../../ui/dialog";
import { List } from "../../ui/list";
import { EntryDialog, KINDS } from "./meaning-entry";
import { ImportDialog, ProposeDialog } from "./meaning-exchange";
import { QuestionsPart } from "./part";

type Entry = Schemas["SemanticEntry"];

const ORIGINS = {
    person: "A person",
    discovery: "Schemas",
    usage: "Past queries",
    clarification: "A clarification",
} as const;

export function Meaning() {
    const may = useMay();
    const [kind, setKind] = useState("");
    const [status, setStatus] = useState("");
    const [open, setOpen] = useState<"new" | "import" | "propose" | Entry>();
    const [deleting, setDeleting] = useState<Entry>();
    const close = () => setOpen(undefined);
    const one = (id: number) => ({ params: { path: { semantic_entry_id: id } } });
    const confirm = useAction(
        (id: number) => read(api.POST("/api/v1/prompts/semantic-layer/{semantic_entry_id}/confirm", one(id))),
        { done: "Confirmed. It applies from the next question.", changes: [["meaning"]] },
    );
    const remove = (id: number) => read(api.DELETE("/api/v1/prompts/semantic-layer/{semantic_entry_id}", one(id)));
    const dismiss = useAction(remove, { done: "Dismissed.", changes: [["meaning"]] });
    const exportAll = useAction(
        async () => {
            const { document } = await read(api.GET("/api/v1/prompts/semantic-layer/export"));
            await save(new Response(document), "semantic-layer.yaml");
        },
        { done: "Downloaded." },
    );
    const mayWrite = may("prompt.write");
    return (
        <QuestionsPart
            lead="Joins, metrics, synonyms and descriptions that every question in this workspace relies on."
            actions={
                <>
                    <ActionMenu
                        label="More"
                        busy={exportAll.busy}
                        choices={[
                            mayWrite && { label: "Find joins…", run: () => setOpen("propose") },
                            mayWrite && { label: "Import…", run: () => setOpen("import") },
                            { label: "Export as YAML", run: () => void exportAll.start(undefined) },
                        ]}
                    >
                        <MoreHorizontal size={16} />
                    </ActionMenu>
                    {mayWrite && (
                        <Button kind="primary" icon={<Plus size={16} />} onClick={() => setOpen("new")}>
                            New definition
                        </Button>
                    )}
                </>
            }
        >
            <List
                name="Definitions"
                of={["meaning", kind, status]}
                filters={
                    <>
                        <Filter
                            label="Kind"
                            value={kind}
                            onValue={setKind}
                            options={[
                                ["", "Any kind"],
                                ...Object.entries(KINDS).map(([key, { name }]) => [key, name] as const),
                            ]}
                        />
                        <Filter
                            label="Status"
                            value={status}
                            onValue={setStatus}
                            options={[
                                ["", "Any status"],
                                ["proposed", "To review"],
                                ["confirmed", "Confirmed"],
                            ]}
                        />
                    </>
                }
                load={async ({ page, size }) => {
                    const answer = await read(
                        api.GET("/api/v1/prompts/semantic-layer", {
                            params: {
                                query: {
                                    page,
                                    page_size: size,
                                    kind: (kind || undefined) as "join",
                                    status: (status || undefined) as "proposed",
                                },
                            },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination.total_items };
                }}
                id={(entry) => entry.id}
                columns={[
                    {
                        head: "Definition",
                        className: "break",
                        cell: (entry) => (
                            <div style={{ minWidth: 200 }}>
                                <Saying of={entry.definition} />
                            </div>
                        ),
                    },
                    { head: "Kind", cell: (entry) => <Badge>{KINDS[entry.definition.kind].name}</Badge> },
                    {
                        head: "Origin",
                        cell: (entry) => (
                            <span className="row">
                                {ORIGINS[entry.origin]}
                                {entry.is_own && <Badge tone="accent">Only you</Badge>}
                            </span>
                        ),
                    },
                    { head: "Changed", cell: (entry) => <When at={entry.updated_at} /> },
                    {
                        head: "",
                        cell: (entry) => {
                            const about = textOf(entry.definition);
                            if (!mayWrite && !entry.is_own) return null;
                            if (entry.status === "proposed")
                                return (
                                    <span className="row">
                                        <ActionButton
                                            small
                                            aria-label={`Dismiss ${about}`}
                                            action={dismiss}
                                            on={entry.id}
                                        >
                                            Dismiss
                                        </ActionButton>
                                        <ActionButton
                                            small
                                            kind="primary"
                                            aria-label={`Confirm ${about}`}
                                            action={confirm}
                                            on={entry.id}
                                        >
                                            Confirm
                                        </ActionButton>
                                    </span>
                                );
                            return (
                                <ActionMenu
                                    label={`More for ${about}`}
                                    choices={[
                                        { label: "Edit…", run: () => setOpen(entry) },
                                        { label: "Delete…", danger: true, run: () => setDeleting(entry) },
                                    ]}
                                >
                                    <MoreHorizontal size={16} />
                                </ActionMenu>
                            );
                        },
                    },
                ]}
                empty={
                    <Empty
                        title={status === "proposed" ? "Nothing to review" : "No definitions yet"}
                        actions={
                            mayWrite &&
                            status !== "proposed" && (
                                <Button icon={<Plus size={16} />} onClick={() => setOpen("new")}>
                                    New definition
                                </Button>
                            )
                        }
                    >
                        Define that revenue is the sum of paid orders, or let RiverGen find joins in your schemas.
                    </Empty>
                }
            />
            {open === "propose" && <ProposeDialog onClose={close} />}
            {open === "import" && <ImportDialog onClose={close} />}
            {open && open !== "propose" && open !== "import" && (
                <EntryDialog entry={open === "new" ? undefined : open} onClose={close} />
            )}
            {deleting && (
                <Deletion
                    of={`“${textOf(deleting.definition)}”`}
                    run={() => remove(deleting.id)}
                    changes={[["meaning"]]}
                    onClose={() => setDeleting(undefined)}
                >
                    <p>Questions no longer use it.</p>
                </Deletion>
            )}
        </QuestionsPart>
    );
}

/** An entry in a line, for its controls. */
function textOf(of: Schemas["SemanticDefinition"]): string {
    if (of.kind === "join") return `${of.from} to ${of.to}`;
    if (of.kind === "metric") return of.name;
    return of.kind === "synonym" ? of.phrase : of.of;
}

function Saying({ of }: { of: Schemas["SemanticDefinition"] }) {
    if (of.kind === "join")
        return (
            <>
                <code>{of.from}</code>{" "}
                <span className="soft">{words(of.cardinality ?? "many_to_one").toLowerCase()}</span>{" "}
                <code>{of.to}</code>
            </>
        );
    if (of.kind === "metric")
        return (
            <>
                <b className="strong">{of.name}</b> <span className="soft">is</span> <code>{of.formula}</code>{" "}
                <span className="soft">of</span> <code>{of.table}</code>
            </>
        );
    if (of.kind === "description")
        return (
            <>
                <code>{of.of}</code> <span className="soft">is</span> {of.text}
            </>
        );
    return (
        <>
            <b className="strong">{of.phrase}</b> <span className="soft">{of.is_value ? "is a value of" : "is"}</span>{" "}
            <code>{of.of}</code>
        </>
    );
}
