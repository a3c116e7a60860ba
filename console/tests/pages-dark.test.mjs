import { everyPageIsSound } from "./pages.mjs";

everyPageIsSound("dark");
