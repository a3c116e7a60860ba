import "./design/design.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { queries } from "./queries";
import { router } from "./routes";
import { session } from "./session";
import { Toasts } from "./ui/toast";

// Whoever is signed out, here or in another tab, stands at the door; where they came from is kept for the way back.
let wasOpen = false;
session.subscribe(() => {
    const isOpen = session.isOpen();
    if (wasOpen && !isOpen) {
        void router.navigate({ to: "/sign-in", search: { to: undefined } }).then(() => queries.clear());
    }
    wasOpen = isOpen;
});

const root = document.getElementById("root");
if (root) {
    createRoot(root).render(
        <StrictMode>
            <QueryClientProvider client={queries}>
                <RouterProvider router={router} />
                <Toasts />
            </QueryClientProvider>
        </StrictMode>,
    );
}
