import { test } from "node:test";
import { everyPageIsSound } from "./pages.mjs";

test("every page is sound in the light theme", () => everyPageIsSound("light"));
