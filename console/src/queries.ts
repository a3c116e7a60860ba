// What the server told lately. Answers are shown at once and looked up again behind them.

import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "./api/client";

export const queries = new QueryClient({
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
