import { everyPageIsSound } from "./pages.mjs";

everyPageIsSound("light");
