// The command palette: everything that can be reached, by a few letters of its name. Ctrl K, or ⌘ K.

import { useNavigate } from "@tanstack/react-router";
import { LogOut, MessageSquareText, Moon, SunMedium } from "lucide-react";
import { type ReactNode, useState } from "react";
import {
    Autocomplete,
    Dialog,
    Input,
    Menu,
    MenuItem,
    Modal,
    ModalOverlay,
    TextField,
    useFilter,
} from "react-aria-components";
import { useFound } from "../found";
import { useMay } from "../standing";
import { documents, groups, others } from "./places";
import { signOut } from "./person";
import { tellError } from "./tell";
import { toggleTheme } from "./theme";

type Command = { id: string; label: string; where?: string; words?: string; icon: ReactNode; run: () => void };

export function Palette({ onClose }: { onClose: () => void }) {
    const navigate = useNavigate();
    const may = useMay();
    const { contains } = useFilter({ sensitivity: "base" });
    const [typed, setTyped] = useState("");
    const wanted = typed.trim();
    const go = (href: string) => () => void navigate({ href });

    const things = useFound(wanted);

    const places: Command[] = [
        ...groups.flatMap((group) => group.places.map((place) => ({ place, where: group.title }))),
        ...others.map((place) => ({ place, where: undefined })),
    ]
        .filter(({ place }) => !place.needs || may(place.needs))
        .map(({ place, where }) => ({
            id: place.path,
            label: place.label,
            where,
            words: place.words,
            icon: <place.icon size={16} />,
            run: go(place.path),
        }));
    const commands: Command[] = [
        ...places,
        ...documents.map((place) => ({
            id: place.path,
            label: place.label,
            words: place.words,
            icon: <place.icon size={16} />,
            run: () => void window.open(place.path, "_blank"),
        })),
        {
            id: "theme",
            label: "Toggle dark mode",
            words: "theme appearance",
            icon: document.documentElement.dataset.theme === "dark" ? <SunMedium size={16} /> : <Moon size={16} />,
            run: toggleTheme,
        },
        {
            id: "out",
            label: "Sign out",
            words: "logout leave",
            icon: <LogOut size={16} />,
            run: () => void signOut().catch(tellError),
        },
    ];
    const question: Command[] =
        wanted.length > 3
            ? [
                  {
                      id: "ask",
                      label: `Ask: ${wanted}`,
                      words: wanted,
                      icon: <MessageSquareText size={16} />,
                      run: () => void navigate({ to: "/ask", search: { q: wanted } }),
                  },
              ]
            : [];
    const fits = (text: string, part: string) => part.split(/\s+/).every((word) => contains(text, word));
    // What is called so stands before what only has to do with it.
    const rank = (command: Command) =>
        contains(command.label, wanted) ? (command.label.toLowerCase().startsWith(wanted.toLowerCase()) ? 0 : 1) : 2;
    const isFitting = ({ label, where = "", words = "" }: Pick<Command, "label" | "where" | "words">) =>
        fits(`${label} ${where} ${words}`, wanted);
    const fitting = commands.filter(isFitting);
    // What the server has searched it may have found by more than is told here.
    const found: Command[] = things
        .filter((thing) => wanted.length > 1 && (thing.isSearched || isFitting(thing)))
        .map(({ path, label, where, words, icon: Icon }) => ({
            id: path,
            label,
            where,
            words,
            icon: <Icon size={16} />,
            run: go(path),
        }));
    const shown = [...fitting.toSorted((a, b) => rank(a) - rank(b)), ...found, ...question];

    return (
        <ModalOverlay isOpen isDismissable onOpenChange={(open) => !open && onClose()} className="scrim top">
            <Modal className="dialog palette">
                <Dialog aria-label="Go to">
                    <Autocomplete inputValue={typed} onInputChange={setTyped}>
                        <TextField aria-label="Search everything" autoFocus>
                            <Input placeholder="Search or ask…" type="text" />
                        </TextField>
                        <Menu
                            className="menu"
                            items={shown}
                            aria-label="Results"
                            renderEmptyState={() => <p className="empty">No results</p>}
                            onAction={(key) => {
                                onClose();
                                shown.find((command) => command.id === key)?.run();
                            }}
                        >
                            {(command) => (
                                <MenuItem id={command.id} textValue={`${command.label} ${command.words ?? ""}`}>
                                    {command.icon}
                                    {command.label}
                                    <span className="where">{command.where}</span>
                                </MenuItem>
                            )}
                        </Menu>
                    </Autocomplete>
                </Dialog>
            </Modal>
        </ModalOverlay>
    );
}
