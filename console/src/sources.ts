// The sources that one may see, for choices and names.

import { useQuery } from "@tanstack/react-query";
import { api, read } from "./api/client";

export function useSources() {
    return useQuery({
        queryKey: ["sources", "all"],
        queryFn: () =>
            read(
                api.GET("/api/v1/data-sources", {
                    params: { query: { page_size: 100, sort_by: "name", sort_order: "asc" } },
                }),
            ),
    });
}
