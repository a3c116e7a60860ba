// Templates: questions with places for values, by category, published or one's own.

import { Link, useNavigate } from "@tanstack/react-router";
import { MoreHorizontal, Plus } from "lucide-react";
import { useState } from "react";
import { api, read } from "../../api/client";
import { useMay } from "../../standing";
import { useAction } from "../../ui/action";
import { Badge, Empty, Filter, Status, When, count } from "../../ui/basics";
import { Deletion } from "../../ui/confirm";
import { ActionMenu } from "../../ui/dialog";
import { List } from "../../ui/list";
import { QuestionsPart } from "../questions/part";
import { ListedIcon } from "./icon";
import { type Template, isShared, useCategories } from "./pieces";

export function Templates() {
    const may = useMay();
    const navigate = useNavigate();
    const [category, setCategory] = useState("");
    const categories = useCategories();
    const [deleting, setDeleting] = useState<Template>();
    const one = (id: number) => ({ params: { path: { template_id: id } } });
    const publish = useAction(
        (template: Template) =>
            read(
                api.PATCH("/api/v1/prompt-templates/{template_id}", {
                    ...one(template.id),
                    body: isShared(template)
                        ? { status: "draft", is_public: false }
                        : { status: "published", is_public: true },
                }),
            ),
        {
            done: (template) => (isShared(template) ? "Everyone can use it now." : "Only you can use it now."),
            changes: [["templates"]],
        },
    );
    const make = may("prompt.write") && (
        <Link className="button primary" to="/questions/templates/new">
            <Plus size={16} />
            New template
        </Link>
    );
    return (
        <QuestionsPart lead="Questions with placeholders, asked with different values each time." actions={make}>
            <List
                name="Templates"
                of={["templates", category]}
                search="Search templates"
                filters={
                    categories.length > 1 && (
                        <Filter
                            label="Category"
                            value={category}
                            onValue={setCategory}
                            options={[["", "Any category"], ...categories.map((each) => [each, each] as const)]}
                        />
                    )
                }
                load={async ({ page, size, search }) => {
                    const answer = await read(
                        api.GET("/api/v1/prompt-templates", {
                            params: {
                                query: {
                                    page,
                                    page_size: size,
                                    search: search || undefined,
                                    category: category || undefined,
                                },
                            },
                        }),
                    );
                    return { items: answer.items, total: answer.pagination?.total_items ?? answer.items.length };
                }}
                id={(template) => template.id}
                columns={[
                    {
                        head: "Template",
                        className: "break",
                        cell: (template) => (
                            <div className="row" style={{ flexWrap: "nowrap", minWidth: 180 }}>
                                <ListedIcon of={template} />
                                <div>
                                    <Link
                                        className="strong"
                                        to="/questions/templates/$id"
                                        params={{ id: String(template.id) }}
                                    >
                                        {template.name}
                                    </Link>
                                    <div className="small soft">{template.template_text}</div>
                                </div>
                            </div>
                        ),
                    },
                    {
                        head: "Category",
                        cell: (template) => <Badge>{template.category}</Badge>,
                    },
                    {
                        head: "Status",
                        cell: (template) => <Status value={isShared(template) ? "published" : "draft"} />,
                    },
                    { head: "Runs", cell: (template) => count(template.usage_count), numeric: true },
                    { head: "Changed", cell: (template) => <When at={template.updated_at} /> },
                    may("prompt.write") && {
                        head: "",
                        cell: (template) => (
                            <ActionMenu
                                label={`More for ${template.name}`}
                                busy={publish.isBusyWith(template)}
                                choices={[
                                    {
                                        label: "Edit",
                                        run: () =>
                                            void navigate({
                                                to: "/questions/templates/$id/edit",
                                                params: { id: String(template.id) },
                                            }),
                                    },
                                    {
                                        label: isShared(template) ? "Unpublish" : "Publish",
                                        run: () => void publish.start(template),
                                    },
                                    { label: "Delete…", danger: true, run: () => setDeleting(template) },
                                ]}
                            >
                                <MoreHorizontal size={16} />
                            </ActionMenu>
                        ),
                    },
                ]}
                empty={
                    <Empty title="No templates yet" actions={make}>
                        Write a question once and ask it with different values each time.
                    </Empty>
                }
            />
            {deleting && (
                <Deletion
                    of={deleting.name}
                    run={() => read(api.DELETE("/api/v1/prompt-templates/{template_id}", one(deleting.id)))}
                    changes={[["templates"]]}
                    onClose={() => setDeleting(undefined)}
                >
                    <p>This cannot be undone.</p>
                </Deletion>
            )}
        </QuestionsPart>
    );
}
