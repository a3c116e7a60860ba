import react from "@vitejs/plugin-react";
import optimizeLocales from "@react-aria/optimize-locales-plugin";
import { defineConfig } from "vite";

// The server that `npm run dev` works against.
const server = process.env.RIVERGEN_URL ?? "http://127.0.0.1:8080";
const proxy = Object.fromEntries(
    ["/api", "/scim", "/openapi.json", "/health", "/metrics", "/docs", "/demo"].map((path) => [
        path,
        { target: server },
    ]),
);

export default defineConfig({
    plugins: [react(), { ...optimizeLocales.vite({ locales: ["en-US"] }), enforce: "pre" }],
    server: { proxy },
    preview: { proxy },
    build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
});
