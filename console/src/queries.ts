// What the server told lately. Answers are shown at once and looked up again behind them.

import { QueryCache, QueryClient } from "@tanstack/react-query";
import { ApiError } from "./api/client";
import { tellError } from "./ui/tell";

export const queries = new QueryClient({
    queryCache: new QueryCache({
        onError: (error, query) => {
            // Who may not see what can be chosen is offered nothing of it.
            const isRefused = error instanceof ApiError && error.status === 403;
            if (query.meta?.isChoice && !isRefused) tellError(error);
        },
    }),
    defaultOptions: {
        queries: {
            staleTime: 15_000,
            refetchOnWindowFocus: false,
            // What was refused stays refused; a server that is not there may come back.
            retry: (failures, error) =>
                failures < 2 && error instanceof ApiError && (error.status === 0 || error.status === 503),
        },
    },
});
