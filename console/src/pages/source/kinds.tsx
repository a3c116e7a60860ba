// The kinds of sources that there are.

import { Link } from "@tanstack/react-router";
import { Braces, Cloud, Database, FileSpreadsheet, Leaf, Radio } from "lucide-react";
import { useState } from "react";
import { Empty, Page, SearchBox } from "../../ui/basics";
import { Loaded } from "../../ui/loaded";
import { titles, useKinds } from "./names";

const icons = { SQL: Database, NoSQL: Leaf, Cloud: Cloud, Files: FileSpreadsheet, Streaming: Radio, API: Braces };

export function Kinds() {
    const kinds = useKinds();
    const [typed, setTyped] = useState("");
    const shown =
        kinds.data?.items.filter((kind) =>
            `${titles[kind.type]} ${kind.type} ${kind.category}`.toLowerCase().includes(typed.toLowerCase()),
        ) ?? [];
    const categories = [...new Set(shown.map((kind) => kind.category))];
    return (
        <Page title="Connect a source" crumbs={<Link to="/sources">Sources</Link>}>
            <SearchBox label="Search kinds" value={typed} onValue={setTyped} />
            <Loaded query={kinds}>
                {() => (
                    <div className="stack loose">
                        {categories.map((category) => {
                            const Icon = icons[category as keyof typeof icons] ?? Database;
                            return (
                                <section key={category} className="stack tight">
                                    <h2>{category}</h2>
                                    <div
                                        style={{
                                            display: "grid",
                                            gap: 10,
                                            gridTemplateColumns: "repeat(auto-fill, minmax(min(100%, 190px), 1fr))",
                                        }}
                                    >
                                        {shown
                                            .filter((kind) => kind.category === category)
                                            .map((kind) =>
                                                kind.is_available ? (
                                                    <Link
                                                        key={kind.type}
                                                        className="card card-link row"
                                                        style={{ padding: "11px 13px", flexWrap: "nowrap" }}
                                                        to="/sources/new/$kind"
                                                        params={{ kind: kind.type }}
                                                    >
                                                        <span className="tile">
                                                            <Icon size={17} aria-hidden />
                                                        </span>
                                                        <b className="strong">{titles[kind.type] ?? kind.type}</b>
                                                    </Link>
                                                ) : (
                                                    <div
                                                        key={kind.type}
                                                        className="card row"
                                                        style={{ padding: "11px 13px", flexWrap: "nowrap" }}
                                                    >
                                                        <span className="tile">
                                                            <Icon size={17} aria-hidden />
                                                        </span>
                                                        <span className="soft">
                                                            {titles[kind.type] ?? kind.type}
                                                            <br />
                                                            <span className="small">Not in this build</span>
                                                        </span>
                                                    </div>
                                                ),
                                            )}
                                    </div>
                                </section>
                            );
                        })}
                        {shown.length === 0 && <Empty title={`No kind matches “${typed}”`} />}
                    </div>
                )}
            </Loaded>
        </Page>
    );
}
