// What a run answered, for as long as the server keeps it: page by page, and as a file.

import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, read, send } from "../api/client";
import { Note } from "../ui/basics";
import { type Cell, Grid } from "../ui/grid";
import { Pager } from "../ui/list";
import { Loaded } from "../ui/loaded";
import { DownloadMenu } from "./download";

/** Rows on one page. */
const SIZE = 1000;

export function KeptResult({ id }: { id: number }) {
    const [page, setPage] = useState(1);
    const result = useQuery({
        queryKey: ["run", String(id), "result", page],
        placeholderData: keepPreviousData,
        queryFn: () =>
            read(
                api.GET("/api/v1/queries/{query_id}/result", {
                    params: { path: { query_id: id }, query: { page, page_size: SIZE } },
                }),
            ),
    });
    return (
        <section className="stack tight" aria-label="Result">
            {result.data?.truncated && <Note>There were more rows than this server returns.</Note>}
            <div className="card">
                <header>
                    <h2>Result</h2>
                    <DownloadMenu
                        name={`run ${id}`}
                        ask={(accept) => send(`/api/v1/queries/${id}/result`, { headers: { accept } })}
                    />
                </header>
                <Loaded query={result}>
                    {(data) => <Grid columns={data.columns} rows={data.items as unknown as Cell[][]} label="Rows" />}
                </Loaded>
            </div>
            <Pager
                name="rows"
                page={page}
                size={SIZE}
                total={result.data?.pagination.total_items ?? 0}
                onPage={setPage}
            />
        </section>
    );
}
